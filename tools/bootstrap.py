"""Make the environment: a virtual environment with the pinned set of requirements/.

    python3 tools/bootstrap.py [--venv .venv] [--python python3.11]

``make`` runs this before every target; nothing happens when the environment already
matches the requirement files. Standard library only, and it parses on Python 3.6, so
that whichever ``python3`` is there can say in one line what is missing. Every failure
is one line with its remedy and exit code 2.

pip stays in charge of the network: its configuration, mirrors and caches are used as
they are. An environment that this script did not make is never changed, except that
the project is added to one that holds every pin.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WANTED = (3, 11)  # the pinned wheels were verified together on this version only
PINNED = ['requirements/thirdparty.txt', 'requirements/dev.txt']
NO_DEPS = ['requirements/openmmlab.txt']
GB = 1e9
VENV_GB = 7  # on disk; most of it are the CUDA libraries that torch brings
DOWNLOAD_GB = 4  # pip's temporary copy of the wheels
BEAT_SECONDS = 15
GETTING = r'\s*(Collecting|Downloading|Processing) (\S+)'
NETWORK = (
    r'Retrying \(Retry|NewConnectionError|Max retries|ConnectTimeout|[Rr]ead ?[Tt]imed '
    r'?[Oo]ut|IncompleteRead|name resolution|ProxyError|SSLError|HTTP error'
)
PROBE = (
    'import sys; v = sys.version_info; print(v[0], v[1], v[2], sys.executable); '
    'import ensurepip, venv; print("venv")'
)
ADOPTED = 'adopted '  # found complete, made by someone else
AGAIN = 'then run the same command again'


class SetupError(Exception):
    """What went wrong and what to do about it, in one line."""


def took(start):
    """Return the time since ``start`` as '3 min 05 s'."""
    minutes, seconds = divmod(int(time.time() - start), 60)
    return '{} min {:02d} s'.format(minutes, seconds) if minutes else f'{seconds} s'


def probe(command):
    """Return (version, path, has venv) of a Python command, or None if it has none."""
    try:
        done = subprocess.run(
            [command, '-c', PROBE], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
    except OSError:
        return None
    lines = done.stdout.decode('utf-8', 'replace').splitlines()
    words = lines[0].split(None, 3) if lines else []
    if len(words) < 4:
        return None
    return tuple(int(word) for word in words[:3]), words[3], 'venv' in lines[1:]


def find_python(named=''):
    """Return the path of a Python 3.11 that can make environments.

    Args:
        named: the only command to try; empty to look for one on the PATH.
    """
    found = []
    for command in [named] if named else ['python3.11', sys.executable, 'python3']:
        result = probe(command)
        if result is None:
            continue
        version, path, has_venv = result
        if version[:2] == WANTED and not has_venv:
            hint = 'install it (on Debian: apt install python3.11-venv), '
            raise SetupError(f'{path} lacks the venv module: {hint}{AGAIN}')
        if version[:2] == WANTED:
            return path
        found.append('{} is {}.{}.{}'.format(command, *version))
    raise SetupError(
        'Python 3.11 is needed, the pinned wheels were verified on it; '
        + ('; '.join(found) or '{} does not run'.format(named or 'python3'))
        + ': install Python 3.11 or name one, make PYTHON=/path/to/python3.11'
    )


def fingerprint(venv):
    """Return a hash of everything that decides what the environment holds."""
    digest = hashlib.sha256((ROOT + '\0' + venv).encode('utf-8'))
    for name in [*PINNED, *NO_DEPS, 'setup.py']:
        with open(os.path.join(ROOT, name), 'rb') as file:
            digest.update(file.read())
    # An editable install knows only the top-level packages of its day.
    digest.update(str(os.path.exists(os.path.join(ROOT, 'projects'))).encode())
    return digest.hexdigest()


def check_space(venv, environ):
    """Refuse what cannot fit; move pip's temporary files when /tmp is too small."""
    there = venv
    while not os.path.isdir(there):
        there = os.path.dirname(there)
    present = sum(
        os.lstat(os.path.join(folder, name)).st_size
        for folder, _, names in os.walk(venv)
        for name in names
    )
    need = max(VENV_GB * GB - present, GB / 2)
    free = shutil.disk_usage(there).free
    if free < need:
        raise SetupError(
            f'{free / GB:.1f} GB free at {there}, {need / GB:.1f} GB needed: '
            'free some space or go elsewhere, make VENV=/roomy/disk/venv'
        )
    if shutil.disk_usage(tempfile.gettempdir()).free < DOWNLOAD_GB * GB:
        environ['TMPDIR'] = os.path.join(venv, '.tmp')
    if free < need + 2 * DOWNLOAD_GB * GB:
        environ['PIP_NO_CACHE_DIR'] = '1'


def explain(text):
    """Return the one line for what pip wrote before it failed."""
    network = re.search(NETWORK, text)
    missing = re.search(r'the requirement (\S+).*\(from versions: (.*)\)', text)
    if re.search('No space left on device|Disk quota exceeded', text):
        return (
            'the disk is full: free some space (pip cache purge gives some) or go '
            'elsewhere, make VENV=/roomy/disk/venv'
        )
    if missing and not network and missing.group(2) != 'none':
        return f'{missing.group(1)} is not on the package index that pip uses'
    if network or missing:
        wanted = f' (asked for {missing.group(1)})' if missing else ''
        return (
            f'no network, or the package index cannot be reached{wanted}: check the '
            'connection or name a mirror, PIP_INDEX_URL=https://... make; ' + AGAIN
        )
    built = re.search(r'(?:Failed building wheel for|building) (\S+)', text)
    if built:
        return built.group(1) + ' could not be built, and no wheel fits this machine'
    errors = re.findall(r'^ERROR: (.*)', text, re.M) or text.split('\n')
    return errors[-1] or 'the step failed without a word'


class Environment:
    """One virtual environment and the state that this script keeps in it.

    The state is the fingerprint of a finished install, 'started' before that, or
    'torn' while pip writes files: a torn environment is made anew, a started one
    goes on where it stopped.
    """

    def __init__(self, path):
        self.path = path
        self.python = os.path.join(path, 'bin', 'python')
        self.log = os.path.join(path, 'bootstrap.log')
        self.state_file = os.path.join(path, '.bootstrap')
        self.environ = dict(os.environ, PIP_USER='0', PIP_NO_INPUT='1')
        self.environ.update(PIP_PROGRESS_BAR='off', PIP_DISABLE_PIP_VERSION_CHECK='1')
        for name in ('PYTHONPATH', 'PYTHONHOME', '__PYVENV_LAUNCHER__'):
            self.environ.pop(name, None)

    @property
    def state(self):
        """What the state file says; empty without one."""
        if not os.path.exists(self.state_file):
            return ''
        with open(self.state_file) as file:
            return file.read().strip()

    @state.setter
    def state(self, value):
        with open(self.state_file, 'w') as file:
            file.write(value + '\n')

    def usable(self):
        """Whether its interpreter still runs and is the wanted one."""
        result = probe(self.python)
        return result is not None and result[0][:2] == WANTED

    def doctor(self, *flags):
        """Run the self-check in this environment; return its complaint or ''."""
        command = [self.python, os.path.join(ROOT, 'tools', 'doctor.py'), *flags]
        done = subprocess.run(command, stderr=subprocess.PIPE, env=self.environ)
        return done.stderr.decode().strip().split('\n')[-1] if done.returncode else ''

    def run(self, label, command):
        """Run a command into the log, and say every few seconds what it does."""
        start, doing, lines, done = time.time(), [''], [], threading.Event()
        print(f'{label} ...', flush=True)

        def beat():
            while not done.wait(BEAT_SECONDS):
                print('    {}: {:.66}'.format(took(start), doing[0]), flush=True)

        threading.Thread(target=beat, daemon=True).start()
        pipes = {'stdout': subprocess.PIPE, 'stderr': subprocess.STDOUT}
        process = subprocess.Popen(command, cwd=ROOT, env=self.environ, **pipes)
        try:
            with open(self.log, 'a', encoding='utf-8') as log:
                for raw in process.stdout:
                    line = raw.decode('utf-8', 'replace').rstrip()
                    lines.append(line)
                    log.write(line + '\n')
                    found = re.match(GETTING, line)
                    if found:
                        doing[0] = 'getting ' + os.path.basename(found.group(2))
                    elif line.startswith('Installing collected packages'):
                        doing[0] = 'unpacking {} packages'.format(line.count(',') + 1)
                        self.state = self.state and 'torn'
            code = process.wait()
        finally:
            done.set()
        if code:
            raise SetupError(explain('\n'.join(lines)) + '; full log: ' + self.log)
        print(f'    done in {took(start)}')

    def install(self, named):
        """Make the environment and fill it; pip skips what is there already."""
        pip = [self.python, '-m', 'pip', 'install']
        python = self.python if self.state else find_python(named)
        check_space(self.path, self.environ)
        for folder in (self.path, self.environ.get('TMPDIR', self.path)):
            os.makedirs(folder, exist_ok=True)
        if not self.state:
            self.state = 'torn'
            self.run('[1/4] virtual environment', [python, '-m', 'venv', self.path])
        self.state = 'started'
        files = [word for name in PINNED for word in ('-r', name)]
        self.run('[2/4] third-party wheels, about 3 GB to download', pip + files)
        self.state = 'started'
        files = [word for name in NO_DEPS for word in ('-r', name)]
        self.run('[3/4] OpenMMLab wheels', [*pip, '--no-deps', *files])
        self.state = 'started'
        self.add_project()

    def add_project(self):
        """Install the project in place, and check that everything fits together."""
        pip = [self.python, '-m', 'pip', 'install', '--no-deps']
        self.run('[4/4] the project', [*pip, '--no-build-isolation', '-e', '.'])
        complaint = self.doctor('--quiet')
        if complaint:
            raise SetupError(complaint.replace('error: ', ''))


def prepare(venv, named=''):
    """Bring the environment at ``venv`` to the pinned set, if it is not there yet."""
    start, environment = time.time(), Environment(venv)
    state, wanted = environment.state, fingerprint(venv)
    if state in (wanted, ADOPTED + wanted) and os.path.exists(environment.python):
        return
    if os.path.isdir(venv) and os.listdir(venv) and (not state or ADOPTED in state):
        environment.state_file = os.devnull  # not ours: neither torn nor started
        if not environment.usable() or environment.doctor('--pins', '--quiet'):
            raise SetupError(
                f'{venv} was not made by this script and does not hold its pins: name '
                'another place, make VENV=..., or use yours directly: '
                f'{environment.python} -m pip install --no-deps -e .'
            )
        environment.add_project()
        Environment(venv).state = ADOPTED + wanted
    else:
        if state == 'torn' or (state and not environment.usable()):
            print(f'an install into {venv} was cut short: starting it anew')
            shutil.rmtree(venv)
        environment.install(named)
        shutil.rmtree(os.path.join(venv, '.tmp'), ignore_errors=True)
        environment.state = wanted
    print(f'{venv} is ready, {took(start)}')


def main(argv=None):
    """Read the command line, make the environment, return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--venv', default='.venv', help='where (default: .venv)')
    parser.add_argument('--python', default='', help='a Python 3.11, name or path')
    args = parser.parse_args(argv)
    try:
        prepare(os.path.abspath(args.venv), args.python)
    except (SetupError, OSError) as error:
        print('error: ' + ' '.join(str(error).split()), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('interrupted: the same command goes on', file=sys.stderr)
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
