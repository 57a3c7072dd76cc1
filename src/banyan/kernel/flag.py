"""What is switched on for whom: OpenFeature over a flagd file, evaluated in this process."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode, OpenFeatureError
from openfeature.flag_evaluation import (
    FlagEvaluationDetails,
    FlagResolutionDetails,
    FlagValueType,
)
from openfeature.provider import AbstractProvider, Metadata

from banyan.kernel import telemetry
from banyan.kernel.clock import Clock
from banyan.kernel.contract import Value

T = TypeVar("T")

_PROVIDER = "flagd-file"
_SECONDS_BETWEEN_LOOKS = 1.0


class Audience(Value):
    """For whom a flag is asked: an opaque id that shares are drawn by, and what is known of it."""

    key: str = ""
    attributes: Mapping[str, str | int | float | bool] = {}


EVERYBODY = Audience()


class Flags:
    """Answers what a flag says, and the default whenever no flag says anything."""

    def __init__(self, file: Path, *, clock: Clock) -> None:
        """Follow a file in flagd's format, whether it is there yet or not."""
        self._file = file
        self._clock = clock
        self._core = FlagdCore()
        self._seen: tuple[int, int] | None = None
        self._look_at = clock.monotonic()
        self._broken: set[str] = set()
        # OpenFeature keeps providers by domain for the whole process: each of us has its own.
        domain = f"banyan-{next(_domains)}"
        api.set_provider_and_wait(_Provider(self._core), domain)
        self._client = api.get_client(domain)

    def boolean(self, key: str, *, default: bool, audience: Audience = EVERYBODY) -> bool:
        """Tell whether something is on."""
        details = self._current().get_boolean_details(key, default, _context(audience))
        return self._told(details, audience)

    def string(self, key: str, *, default: str, audience: Audience = EVERYBODY) -> str:
        """Tell which of several texts holds."""
        details = self._current().get_string_details(key, default, _context(audience))
        return self._told(details, audience)

    def integer(self, key: str, *, default: int, audience: Audience = EVERYBODY) -> int:
        """Tell how many."""
        details = self._current().get_integer_details(key, default, _context(audience))
        return self._told(details, audience)

    def number(self, key: str, *, default: float, audience: Audience = EVERYBODY) -> float:
        """Tell how much."""
        details = self._current().get_float_details(key, default, _context(audience))
        return self._told(details, audience)

    def _current(self) -> OpenFeatureClient:
        """Look at the file, at most once a second, before it is asked for anything."""
        if self._clock.monotonic() >= self._look_at:
            self._look_at = self._clock.monotonic() + _SECONDS_BETWEEN_LOOKS
            self._read_if_changed()
        return self._client

    def _read_if_changed(self) -> None:
        try:
            found = self._file.stat()
            seen = (found.st_mtime_ns, found.st_size)
        except FileNotFoundError:
            seen = None
        if seen == self._seen:
            return
        self._seen = seen
        self._broken.clear()
        try:
            self._core.set_flags(self._file.read_text(encoding="utf-8") if seen else "{}")
        except (OSError, ValueError, TypeError, AttributeError, OpenFeatureError) as refusal:
            # The last good flags hold: a slip of the pen must not switch the house over.
            telemetry.log(__name__).error(
                "flag file is broken, the last good one holds",
                file=str(self._file),
                reason=str(refusal),
            )

    def _told(self, details: FlagEvaluationDetails[T], audience: Audience) -> T:
        if details.error_code not in {None, ErrorCode.FLAG_NOT_FOUND}:
            self._complain(details.flag_key, f"{details.error_code}: {details.error_message}")
        telemetry.note(
            "feature_flag.evaluation",
            {
                "feature_flag.key": details.flag_key,
                "feature_flag.provider.name": _PROVIDER,
                "feature_flag.result.variant": details.variant or "",
                "feature_flag.result.reason": str(details.reason).lower(),
                "feature_flag.context.id": audience.key,
            },
        )
        return details.value

    def _complain(self, key: str, reason: str) -> None:
        """Say once per file that a flag cannot be evaluated: it may be asked in every request."""
        if key not in self._broken:
            self._broken.add(key)
            telemetry.log(__name__).warning(
                "flag is broken, its default holds", flag=key, reason=reason
            )


class _Provider(AbstractProvider):
    """What OpenFeature asks, answered by flagd's own evaluator."""

    def __init__(self, core: FlagdCore) -> None:
        super().__init__()
        self._core = core

    def get_metadata(self) -> Metadata:
        return Metadata(name=_PROVIDER)

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,  # noqa: FBT001 - OpenFeature's signature
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        return self._core.resolve_boolean_value(flag_key, default_value, evaluation_context)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        return self._core.resolve_string_value(flag_key, default_value, evaluation_context)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        return self._core.resolve_integer_value(flag_key, default_value, evaluation_context)

    def resolve_float_details(
        self,
        flag_key: str,
        default_value: float,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[float]:
        return self._core.resolve_float_value(flag_key, default_value, evaluation_context)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        return self._core.resolve_object_value(flag_key, default_value, evaluation_context)


def _context(audience: Audience) -> EvaluationContext:
    return EvaluationContext(audience.key or None, audience.attributes)


_domains = itertools.count()
