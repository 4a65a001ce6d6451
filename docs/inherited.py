"""Tell the reference of the arguments that an operator documents and hands on to Airflow's ``BaseSQLOperator``."""

from __future__ import annotations

from typing import Any

import griffe

INHERITED = {"database": ("str | None", "None"), "retry_on_failure": ("bool", "True")}


class InheritedArguments(griffe.Extension):
    """Adds them to the constructor's signature, with the defaults that they have there."""

    def on_class_members(self, *, cls: griffe.Class, **_: Any) -> None:
        """Called by Griffe when it has read a class."""
        init = cls.members.get("__init__")
        if not isinstance(init, griffe.Function) or "kwargs" not in init.parameters or cls.docstring is None:
            return
        rest = init.parameters["kwargs"]
        del init.parameters["kwargs"]
        for name, (annotation, default) in INHERITED.items():
            if f":param {name}:" in cls.docstring.value and name not in init.parameters:
                kind = griffe.ParameterKind.keyword_only
                init.parameters.add(griffe.Parameter(name, annotation=annotation, kind=kind, default=default))
        init.parameters.add(rest)
