"""tools/complexity.py as a command."""

import json


def test_table_and_json_hold_the_same_total(call, configs, tmp_path):
    file = tmp_path / 'cost.json'
    options = ('--shape', '64', '96', '--json', file)
    code, out, err = call('complexity', configs / 'tiny.py', *options)
    assert code == 0, err
    found = json.loads(file.read_text())
    assert found['size'] == [64, 96]
    assert sum(part['flops'] for part in found['parts']) == found['flops']
    assert f'{found["flops"] / 1e9:.2f} G' in out
    assert 'One multiply-add counts as one.' in out
    assert '1000 boxes' in out


def test_mistakes_are_one_line_and_code_2(call, configs):
    for arguments, message in (
        (['no/such.py'], 'no/such.py: no such config'),
        ([configs / 'tiny.py', '--shape', '8'], 'cannot run at 8 x 8'),
        ([configs / 'tiny.py', '--shape', '1', '2', '3'], 'needs HEIGHT WIDTH'),
    ):
        code, _, err = call('complexity', *arguments)
        assert code == 2
        assert message in err
        assert 'Traceback' not in err
