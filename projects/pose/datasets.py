"""COCO keypoints of any skeleton."""

from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from mmpose.datasets.datasets.base import BaseCocoStyleDataset
from mmpose.registry import DATASETS

from projects.pose.skeleton import COCO_META, Skeleton


@DATASETS.register_module()
class KeypointDataset(BaseCocoStyleDataset):
    """Persons, or other things with keypoints, of a COCO keypoints file.

    Args:
        metainfo: fields of :class:`~projects.pose.skeleton.Skeleton`, or what mmpose
            takes; COCO's 17 keypoints if not given.
        **kwargs: of mmpose's data sets.
    """

    METAINFO: dict = {'from_file': str(COCO_META)}

    @classmethod
    def _load_metainfo(cls, metainfo: dict[str, Any] | None = None) -> dict[str, Any]:
        if metainfo and 'keypoints' in metainfo:
            metainfo = Skeleton(**metainfo).to_mmpose()
        parsed = super()._load_metainfo(metainfo)
        if not parsed['skeleton_links']:
            # A checkpoint stores it, and an empty array is not read back as data only.
            parsed['skeleton_link_colors'] = []
        return parsed

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read the people; class names become plain text, as in other libraries."""
        with redirect_stdout(StringIO()):  # xtcocotools prints
            people = super().load_data_list()
        categories = self._metainfo.get('CLASSES', [])
        self._metainfo['CLASSES'] = tuple(
            item['name'] for item in categories if item.get('keypoints')
        )
        return people
