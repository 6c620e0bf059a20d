"""Write the digests of the base images into the Dockerfile: `make lock-images`, on a machine with Docker.

A tag can come to mean another image; a digest cannot. Run it again to take the images that the tags mean now.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

DOCKERFILE = Path("Dockerfile")
FROM = re.compile(r"^(?P<start>FROM +(?:--\S+ +)*)(?P<image>[^\s@]+)(?:@\S+)?(?P<stage>.*)$", re.MULTILINE)


def docker(*arguments: str) -> str:
    try:
        done = subprocess.run(["docker", *arguments], check=False, capture_output=True, text=True)
    except FileNotFoundError:
        sys.exit("docker is not on PATH: install it, or run this on a machine that has it")
    if done.returncode:
        sys.exit(f"docker {' '.join(arguments)}: {done.stderr.strip()}\nThe Dockerfile is as it was.")
    return done.stdout


def digest(image: str) -> str:
    """The digest that the image's registry gives its tag today."""
    docker("pull", "--quiet", image)
    known: list[str] = json.loads(docker("image", "inspect", image))[0]["RepoDigests"]
    # One image may have come from several registries, each with a digest of its own.
    repository = re.sub(r":[^:/]+$", "", image).removeprefix("docker.io/").removeprefix("library/")
    return next(entry.partition("@")[2] for entry in known if entry.startswith(f"{repository}@"))


def main() -> None:
    text = DOCKERFILE.read_text(encoding="utf-8")
    stages = {stage.split()[-1] for _, _, stage in FROM.findall(text) if stage.split()}
    images = {image for _, image, _ in FROM.findall(text)} - stages
    digests = {image: digest(image) for image in sorted(images)}

    def pinned(line: re.Match[str]) -> str:
        image = line["image"]
        return f"{line['start']}{image}@{digests[image]}{line['stage']}" if image in digests else line[0]

    DOCKERFILE.write_text(FROM.sub(pinned, text), encoding="utf-8")
    for image, found in digests.items():
        print(f"{image} is {found}")


if __name__ == "__main__":
    main()
