"""Images with a mask of the same name each, whatever the image format."""

from pathlib import Path
from typing import Any

from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from projects.common.media import IMAGES

MASKS = ('.png', '.bmp', '.tif', '.tiff')


@DATASETS.register_module()
class ImagesWithMasks(BaseSegDataset):
    """Images of a folder and below; masks lie at the same place under another folder.

    As mmseg's ``BaseSegDataset``, which takes one image format, and whose classes and
    ``reduce_zero_label`` are given the same way.
    """

    def load_data_list(self) -> list[dict[str, Any]]:
        """List images with their masks; one that does not exist is named ``.png``."""
        images, masks = (
            Path(self.data_prefix[key]) for key in ('img_path', 'seg_map_path')
        )
        files = (file for file in images.rglob('*') if file.suffix.lower() in IMAGES)
        return [
            {
                'img_path': str(file),
                'seg_map_path': str(_mask(masks / file.relative_to(images))),
                'label_map': self.label_map,
                'reduce_zero_label': self.reduce_zero_label,
                'seg_fields': [],
            }
            for file in sorted(files)
        ]


def _mask(image: Path) -> Path:
    candidates = [image.with_suffix(suffix) for suffix in MASKS]
    return next((path for path in candidates if path.is_file()), candidates[0])
