"""Build hook: registers the architecture in editable installs too."""

from typing import Any, Dict

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class RegistrationHook(BuildHookInterface):
    """Give editable wheels the files that normal wheels get from ``force-include``."""

    def initialize(self, version: str, build_data: Dict[str, Any]) -> None:
        """Copy the wheel's ``force-include`` table."""
        build_data["force_include_editable"] = self.build_config.target_config[
            "force-include"
        ]
