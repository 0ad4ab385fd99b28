"""docker/Dockerfile, built and run as in docker/README.md, but without a registry: the base image is
a Debian 12 made here and kept in build/. The machine's own container storage is not used."""

import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

import lab
from peers.client import Client
from peers.server import Server

BASE_TAR = lab.ROOT / "build/debian-12.tar"
BASE, IMAGE = "localhost/sstpgate-base", "localhost/sstpgate-under-test"
NOBODY = 65532


@pytest.fixture(scope="module")
def tool(workshop):
    """tool("podman", ...) runs that command with separate storage in a separate mount namespace, because
    container storage leaves mounts behind, which end with the namespace."""
    lab.require("buildah podman runc mmdebstrap nsenter setpriv unshare")
    with lab.running(["unshare", "--mount", "sh", "-c", "echo ready; exec tail -f /dev/null"],
                     workshop / "mounts.log", stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "ready\n"

        def command(name, *arguments):
            return [*f"nsenter -t {holder.pid} --mount -- {name}".split(),
                    "--root", workshop / "images", "--runroot", workshop / "containers", *arguments]

        yield command


def run(command, **options):
    done = subprocess.run([str(word) for word in command], text=True, capture_output=True, **options)
    assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
    return done.stdout.strip()


@pytest.fixture(scope="module")
def image(tool):
    if not BASE_TAR.exists():
        BASE_TAR.parent.mkdir(exist_ok=True)
        part = BASE_TAR.with_suffix(".part.tar")
        run([lab.ROOT / "tests/fresh-debian", part])
        part.rename(BASE_TAR)
    work = run(tool("buildah", "from", "scratch"))
    run(tool("buildah", "add", "--quiet", work, BASE_TAR, "/"))
    run(tool("buildah", "commit", "--quiet", "--rm", work, BASE))
    # Without explicit limits, buildah 1.39 requests more files and processes than some machines permit.
    run(tool("buildah", "bud", "--isolation", "chroot", "--pull-never", "--format", "docker",
             "--ulimit=nofile=4096:4096", "--ulimit=nproc=1000:1000",
             "--build-arg", f"BASE={BASE}", "--build-arg", "VERSION=9.9-test", "-f", lab.ROOT / "docker/Dockerfile", "-t", IMAGE,
             lab.ROOT))
    return IMAGE


def podman(tool, *arguments):
    """podman run with the restrictions of docker/README.md. runc, cgroupfs and the limits are needed if
    the tests themselves run in a container; an ordinary machine needs none of them."""
    return tool("podman", "--cgroup-manager=cgroupfs", "--runtime=runc", "run", "--rm",
                "--ulimit=nofile=4096:4096", "--ulimit=nproc=1000:1000", "--network=host",
                "--read-only", "--cap-drop=all", "--security-opt=no-new-privileges", *arguments)


def test_a_call_through_the_container(directory, tool, image, front, back):
    etc, ready_directory = directory / "etc", directory / "run"
    etc.mkdir()
    ready_directory.mkdir()
    shutil.copy(front.both, etc / "vpn.pem")
    # Run in the image, because it needs MD4, and so the legacy provider of OpenSSL in the image.
    users = run(podman(tool, "--interactive", image, "user", lab.USER), input=lab.PASSWORD + "\n")
    (etc / "users").write_text(users + "\n")
    ready, log = ready_directory / "ready", directory / "podman.log"
    with Server(back.cert, back.key, users={lab.USER: lab.PASSWORD}) as server:
        (etc / "sstpgate.conf").write_text(
            "[gate]\nadmin = unix:/run/sstpgate/admin.sock\nsandbox = require\n\n" +
            lab.gate_configuration("vpn.pem", server.address, back))
        for path in (etc, ready_directory, *etc.iterdir()):
            os.chown(path, NOBODY, NOBODY)
            path.chmod(0o600 if path.is_file() else 0o700)
        start = podman(tool, "--name=gate", f"--volume={etc}:/etc/sstpgate:ro",
                       f"--volume={ready_directory}:/run/sstpgate", image,
                       "-c", "/etc/sstpgate/sstpgate.conf", "--ready-file", "/run/sstpgate/ready")
        with lab.running(start, log) as process:
            address = lab.eventually(lambda: lab.whole_line(ready), process, log).split()[1]
            inside = json.loads(run(tool("podman", "inspect", "gate")))[0]["State"]["Pid"]
            check_restrictions(pathlib.Path(f"/proc/{inside}"))
            run(tool("podman", "--cgroup-manager=cgroupfs", "--runtime=runc", "healthcheck", "run", "gate"))
            drain(tool, address, process, log)
            record = server.wait_over()
            process.wait(lab.DEADLINE)
        # The exit code of the container.
        assert process.returncode == 0, log.read_text()
    assert record.verdict == "ok" and record.leaf_hash == back.sha256
    assert run(tool("podman", "ps", "--all", "--quiet")) == ""


def drain(tool, address, process, log):
    """`podman stop` sends the image's STOPSIGNAL: the tunnel stays up until its client hangs up."""
    host, port = address.split(":")
    with Client((host, int(port)), sni=lab.NAME, host=lab.NAME, user=lab.USER,
                password=lab.PASSWORD) as client:
        client.establish().ping(3)
        stop = tool("podman", "--cgroup-manager=cgroupfs", "--runtime=runc", "stop", f"--time={lab.DEADLINE}", "gate")
        with subprocess.Popen([str(word) for word in stop], stdout=subprocess.DEVNULL) as stopping:
            lab.eventually(lambda: "no new calls" in log.read_text(), process, log)
            client.ping(3)
            assert stopping.poll() is None
            client.disconnect()
            assert stopping.wait(lab.DEADLINE) == 0


def test_labels_and_size(tool, image):
    """The labels are those of OCI; docker/README.md states the size."""
    facts = json.loads(run(tool("podman", "inspect", "--type=image", image)))[0]
    labels = {key.removeprefix("org.opencontainers.image."): value for key, value in facts["Labels"].items()}
    assert labels["title"] == "sstpgate" and labels["licenses"] == "ISC" and labels["version"] == "9.9-test"
    assert "sstpgate 9.9-test" in run(podman(tool, image, "-V"))
    stated = int(re.search(r"(\d+) MB", (lab.ROOT / "docker/README.md").read_text())[1])
    assert round(facts["Size"] / 1e6) == pytest.approx(stated, abs=1), facts["Size"]


def check_restrictions(process):
    status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines())
    assert status["Uid"].split() == status["Gid"].split() == [str(NOBODY)] * 4
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[kind], 16) == 0, kind
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    assert int(status["Seccomp_filters"]) >= 2, "the filter of the engine, and the gate's own"
    mounts = [line.split() for line in (process / "mountinfo").read_text().splitlines()]
    assert ["ro" in mount[5].split(",") for mount in mounts if mount[4] == "/"] == [True]
    programs = [path for path in (process / "root").rglob("*") if path.parent.name == "bin"]
    assert [path.name for path in programs] == ["sstpgate"], "the image contains more than the gate"
