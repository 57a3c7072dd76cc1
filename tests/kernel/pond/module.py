"""The pond, as the application sees it."""

from __future__ import annotations

from banyan.kernel.event import on, on_many
from banyan.kernel.module import Module
from tests.kernel.pond.contract import Croaked, Leapt, Pond
from tests.kernel.pond.service import Dive, PondService, Rest, Travel

module = Module(
    name="pond",
    offers={Pond: PondService},
    sagas=[Travel, Dive, Rest],
    reactions=[on(Leapt, PondService.hear), on_many(Croaked, PondService.join_in)],
)
