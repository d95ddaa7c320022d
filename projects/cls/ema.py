"""The moving average of the weights, as the plain ImageNet recipe has it."""

from typing import Any

from mmengine.runner import Runner
from mmpretrain.engine.hooks import EMAHook
from mmpretrain.registry import HOOKS


@HOOKS.register_module()
class StoredEMAHook(EMAHook):
    """An average that is stored and nothing else.

    The raw weights are validated, tested, compared for the best checkpoint and saved as
    ``state_dict``; the average is saved beside them as ``ema_state_dict``. mmengine's
    hook saves them the other way round, so that every tool would read the average.

    Args:
        momentum: 1 - decay.
        update_buffers: average the statistics of BatchNorm as well.
        **kwargs: of mmpretrain's hook.
    """

    def __init__(
        self, momentum: float, update_buffers: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(
            momentum=momentum,
            update_buffers=update_buffers,
            evaluate_on_ema=False,
            evaluate_on_origin=True,
            **kwargs,
        )

    def before_save_checkpoint(
        self, runner: Runner, checkpoint: dict[str, Any]
    ) -> None:
        """Add the average to the checkpoint."""
        checkpoint['ema_state_dict'] = self.ema_model.state_dict()

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Go on with the stored average; without one it starts at the weights."""
        average = checkpoint.get('ema_state_dict')
        if average is not None and runner._resume:
            self.ema_model.load_state_dict(average, strict=self.strict_load)
        else:
            self.ema_model.module.load_state_dict(
                checkpoint['state_dict'], strict=False
            )
