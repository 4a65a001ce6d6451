"""What the sensors share: to look, to defer or to poke, and to say what landed."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
    XComArg,
    conf,
)

from airflow_dataquality.engine.waiting import Sight
from airflow_dataquality.errors import DataQualityError, SpecError
from airflow_dataquality.operators import _common as common
from airflow_dataquality.operators._dates import RendersDate

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_dataquality.triggers.partition import WaitingTrigger


def deferrable_by_default() -> bool:
    """Whether a triggerer can be expected: yes, unless the configuration says that there is none."""
    everywhere: bool = conf.getboolean("operators", "default_deferrable", fallback=False)
    return everywhere or conf.getboolean("airflow_dataquality", "default_deferrable", fallback=True)


class WaitingSensor(RendersDate, BaseSensorOperator):
    """A sensor that waits for all of its partitions.

    :param partitions: a text, or several
    :param deferrable: wait in the triggerer
    """

    template_fields: Sequence[str] = ("partitions",)
    ui_color = "#d9ecf5"

    def __init__(self, *, partitions: str | Sequence[str], deferrable: bool | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.partitions = [partitions] if isinstance(partitions, str) else partitions
        self.deferrable = deferrable_by_default() if deferrable is None else deferrable
        if not isinstance(self.partitions, XComArg):
            self.partitions = list(self.partitions)
            if not self.partitions:
                raise SpecError(f"{type(self).__name__} waits for nothing", hint="give partitions=[…]")
        self._wanted: list[Any] = []
        self.waiting_for: list[str] = []

    def _checked(self, read: Callable[[str], Any]) -> None:
        """Refuse now what can never be a partition, whatever its templates render to.

        :raises SpecError: naming it
        """
        if not isinstance(self.partitions, XComArg):
            for text in self.partitions:
                if not isinstance(text, XComArg):
                    read(text)

    def _rendered(self) -> list[str]:
        """The partitions, after Airflow rendered them.

        :raises SpecError: if it did not
        """
        common.refuse_templates({name: getattr(self, name) for name in self.template_fields})
        return [self.partitions] if isinstance(self.partitions, str) else list(self.partitions)

    @abc.abstractmethod
    def _seen(self) -> Mapping[Any, Sight]:
        """What there is of each partition now; what is asked for is kept in ``_wanted``."""

    @abc.abstractmethod
    def _trigger(self) -> WaitingTrigger:
        """What waits instead of this task."""

    def _told(self, found: Iterable[Mapping[str, Any]]) -> None:
        """Log what landed, and tell the task's outlets."""
        for each in found:
            facts = ", ".join(f"{name} {each[name]}" for name in self._facts if each.get(name) is not None)
            self.log.info("%s landed: %s", each["partition"], facts)

    _facts: Sequence[str] = ("rows",)

    def _look(self) -> tuple[list[dict[str, Any]] | None, WaitingTrigger]:
        from airflow_dataquality.triggers.partition import landed

        try:
            sights = self._seen()
            trigger = self._trigger()
        except DataQualityError as error:
            self._refuse(str(error))
        unmet = {each: reason for each in self._wanted if (reason := trigger.unmet(sights[each])) is not None}
        self.waiting_for = [f"{each}: {reason}" for each, reason in unmet.items()]
        for each, reason in unmet.items():
            if trigger.refuses(sights[each]):
                self._refuse(f"{each}: {reason}")
            self.log.info("Waiting for %s: %s", each, reason)
        return (None if unmet else landed(self._wanted, sights)), trigger

    def execute(self, context: Context) -> Any:
        """Wait: in the triggerer if it is not there yet, or by poking."""
        if not self.deferrable:
            return super().execute(context)
        found, trigger = self._look()
        if found is None:
            self.defer(trigger=trigger, method_name="execute_complete", timeout=timedelta(seconds=self.timeout))
        return self._done(context, found)

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once."""
        found, _ = self._look()
        return PokeReturnValue(found is not None, None if found is None else self._done(context, found))

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Go on with what the trigger found."""
        if event["status"] != "landed":
            self._refuse(event["message"])
        return self._done(context, event["partitions"])

    def _done(self, context: Any, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        self._told(found)
        self._tell_outlets(context, found)
        return found

    def _tell_outlets(self, context: Mapping[str, Any], found: Sequence[Mapping[str, Any]]) -> None:
        """Have the task's outlets tell of what landed."""

    def _refuse(self, message: str) -> NoReturn:
        """End the task, for good: neither waiting nor another try will help."""
        if self.soft_fail or self.never_fail:
            raise AirflowSkipException(message)
        raise AirflowFailException(message)
