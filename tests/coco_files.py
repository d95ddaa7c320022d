"""Changes to COCO files, for the tests of what is checked in them."""

import json


def edit(file, change):
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def first(content):
    return content['annotations'][0]
