"""Pictures and errors of a training, from the folder that ``mtt train`` wrote.

``scalar-tensor report RUN`` on the command line. :mod:`.run` finds out what the folder
has, :mod:`.evaluation` compares the model with data, :mod:`.errors`, :mod:`.plots`,
:mod:`.shapes` and :mod:`.structures` make tables, pictures and a page of the structures
of it, :mod:`.overview` shows them together.
"""
