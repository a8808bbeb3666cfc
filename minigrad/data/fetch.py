"""Files from a mirror into a cache folder, each checked by its SHA-256 before it is used.

pooch downloads to a temporary file in the same folder, checks it, and only then gives it its name:
whatever happens on the way, a file of that name is whole. What we add are several mirrors, words
for each thing that can go wrong, and a folder that stands in for the network.
"""

import hashlib
import os
from pathlib import Path

TIMEOUT = 30  # seconds that a mirror may be silent

WITHOUT_NETWORK = (
    "Without a network: put the files, as they are, in a folder of your own and pass folder=..., "
    "or let the environment variable MINIGRAD_DATA name it."
)


def cache_folder():
    """Where fetched files are kept: MINIGRAD_DATA, else the user's cache folder."""
    if os.environ.get("MINIGRAD_DATA"):
        return Path(os.environ["MINIGRAD_DATA"]).expanduser()
    return Path(_pooch().os_cache("minigrad"))


def fetch(source, folder=None):
    """The paths of a source's files, in its order; what is missing in the cache is downloaded.

    With `folder`, files are taken from there (or from its subfolder of the source's name), checked,
    and nothing is downloaded. Raises FileNotFoundError or ValueError where a file in `folder` is
    missing or differs, ConnectionError where no mirror gives the right file (with the reason of
    each), OSError where the disk is full or the cache cannot be written.
    """
    if folder is not None:
        return [_from_folder(Path(folder).expanduser(), source, file) for file in source.files]
    cache = cache_folder()
    found = {file: _found(cache, source, file) for file in source.files}
    missing = [file for file, path in found.items() if path is None]
    if missing:
        _announce(source, missing, cache / source.name)
        for file in missing:
            found[file] = _download(source, file, cache / source.name)
    return list(found.values())


def fault(path, file):
    """What is wrong with the file at a path, in words; None if it is the right one."""
    size = path.stat().st_size
    if size < file.size:
        return f"truncated: {size:,} of {file.size:,} bytes"
    with open(path, "rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    if sha256 != file.sha256:
        return f"corrupt, or another file: SHA-256 {sha256}, expected {file.sha256}"
    return None


def _places(folder, source, file):
    return [folder / source.name / file.name, folder / file.name]


def _found(folder, source, file):
    """The path of the right file in a folder, or None."""
    paths = [path for path in _places(folder, source, file) if path.is_file()]
    return next((path for path in paths if fault(path, file) is None), None)


def _from_folder(folder, source, file):
    path = _found(folder, source, file)
    if path is not None:
        return path
    for path in _places(folder, source, file):
        if path.is_file():
            raise ValueError(f"{path} is {fault(path, file)}. Fetch the file again.")
    wanted = ", ".join(f"{file.name} ({_amount(file.size)})" for file in source.files)
    raise FileNotFoundError(
        f"{file.name} is neither in {folder / source.name} nor in {folder}. "
        f"Expected there: {wanted}. Without folder=... it would be downloaded."
    )


def _announce(source, files, folder):
    """What will be downloaded, how much, under which licence and to where: said before it is."""
    print(f"{source.name}: {_amount(sum(file.size for file in files))} to {folder}")
    print(f"licence: {source.licence}")
    for file in files:
        print(f"  {file.name}, {_amount(file.size)}, SHA-256 {file.sha256}")
        if (folder / file.name).is_file():
            print(f"  (replaces the one there, which is {fault(folder / file.name, file)})")


def _download(source, file, folder):
    """The first mirror that gives the right file wins."""
    pooch = _pooch()
    from requests import RequestException

    reasons = []
    for mirror in source.mirrors:
        url = mirror.format(file.name)
        try:
            path = pooch.retrieve(
                url,
                known_hash=f"sha256:{file.sha256}",
                fname=file.name,
                path=folder,
                downloader=lambda url, output, pooch: _stream(url, output, file),
            )
        except (RequestException, Mismatch) as error:  # before OSError: requests derives from it
            reasons.append(f"  {url}: {_short(error)}")
        except OSError as error:
            reason = error if error.errno else error.__cause__ or error  # pooch wraps some
            raise OSError(
                reason.errno,
                f"{file.name} ({_amount(file.size)}) could not be written to {folder}: "
                f"{reason.strerror or reason}. Nothing half-written is left there. Make room, or "
                "let the environment variable MINIGRAD_DATA name a folder that can be written",
            ) from error
        else:
            return Path(path)
    raise ConnectionError(
        f"{file.name} could not be fetched. What each mirror said:\n"
        + "\n".join(reasons)
        + f"\n{WITHOUT_NETWORK}"
    )


class Mismatch(ValueError):
    """A download that is not the file that was asked for."""


def _stream(url, output, file):
    """Download with a progress bar to `output`, pooch's temporary file, and look at the result.

    What goes on behind the length of the file is not the file: it is left where it is, for it might
    never end.
    """
    import requests
    from tqdm.auto import tqdm

    plain = {"Accept-Encoding": "identity"}  # a .gz is to stay one
    with (
        requests.get(url, stream=True, timeout=TIMEOUT, headers=plain) as response,
        open(output, "wb") as part,
        tqdm(total=file.size, unit="B", unit_scale=True, desc=file.name) as bar,
    ):
        response.raise_for_status()
        for chunk in response.iter_content(2**16):
            part.write(chunk)
            bar.update(len(chunk))
            if part.tell() > file.size:
                break
    wrong = fault(Path(output), file)
    if wrong:
        raise Mismatch(wrong)


def _pooch():
    try:
        import pooch
        import tqdm  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"downloads need {error.name}, which is not installed: pip install pooch tqdm. "
            + WITHOUT_NETWORK
        ) from error
    return pooch


def _amount(size):
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"


def _short(error):
    """The heart of a chain of wrapped errors, in one line."""
    text = str(error)
    for sign, words in {
        "Failed to resolve": "no host of that name was found; is there a network?",
        "Connection refused": "the connection was refused",
        "timed out": f"silent for {TIMEOUT} seconds",
        "Connection aborted": "the connection was dropped",
    }.items():
        if sign in text:
            return words
    return text.splitlines()[0][:200] if text else type(error).__name__
