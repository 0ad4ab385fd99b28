"""Headless chromium, driven by the DevTools protocol over a pipe: no driver and no library is needed."""

import base64
import fcntl
import json
import os
import shutil
import signal
import tempfile
from collections import deque
from pathlib import Path

OPTIONS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
           "--disable-background-networking", "--disable-component-update", "--disable-extensions",
           "--hide-scrollbars", "--lang=en-GB", "--remote-debugging-pipe"]


class Browser:
    """One chromium with a profile of its own. close() ends it."""

    def __init__(self, *options):
        self.profile = tempfile.mkdtemp(prefix="page.")
        (read, theirs_out), (theirs_in, self.write) = os.pipe(), os.pipe()
        self.read = os.fdopen(read, "rb")
        command = ["chromium", *OPTIONS, *options, f"--user-data-dir={self.profile}", "about:blank"]
        # Chromium reads from descriptor 3 and writes to 4; the copies are out of the way of these numbers.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (theirs_in, theirs_out)]
        actions = [(os.POSIX_SPAWN_DUP2, ends[0], 3), (os.POSIX_SPAWN_DUP2, ends[1], 4),
                   *((os.POSIX_SPAWN_OPEN, n, os.devnull, os.O_RDWR, 0) for n in (0, 1, 2))]
        self.pid = os.posix_spawnp(command[0], command, {**os.environ, "HOME": self.profile},
                                   file_actions=actions, setsid=True)
        for end in (theirs_in, theirs_out, *ends):
            os.close(end)
        self.buffer = b""
        self.last = 0
        self.events = {}  # of a session: those that nobody has waited for

    def receive(self):
        while b"\0" not in self.buffer:
            more = os.read(self.read.fileno(), 1 << 20)
            assert more, "chromium has ended"
            self.buffer += more
        text, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, session=None, **params):
        """Calls a method of the protocol and returns its result."""
        self.last += 1
        message = {"id": self.last, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self.write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.last:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self.keep(answer)

    def keep(self, event):
        self.events.setdefault(event.get("sessionId"), deque()).append(event)

    def close(self):
        os.killpg(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.write)
        self.read.close()
        shutil.rmtree(self.profile, ignore_errors=True)


class Page:
    """One tab of a browser, at `url`. `errors` are its console errors, exceptions and violations of the
    policy. Each page has a context of its own, without the storage of others."""

    def __init__(self, browser, url=None, width=1440, height=900, scheme="light"):
        self.browser = browser
        self.context = browser.call("Target.createBrowserContext")["browserContextId"]
        target = browser.call("Target.createTarget", url="about:blank", browserContextId=self.context)["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.errors = []
        for domain in "Page", "Runtime", "Log", "Network":
            self.call(f"{domain}.enable")
        self.call("Performance.enable", timeDomain="threadTicks")
        self.size(width, height)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Emulation.setFocusEmulationEnabled", enabled=True)
        if url:
            self.open(url)

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def size(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                  mobile=width < 700)

    def open(self, url):
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def run(self, script):
        """Returns the value of a script, a promise's when it is settled."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True,
                           userGesture=True)
        assert "exceptionDetails" not in result, f"{script}: {result['exceptionDetails']}"
        return result["result"].get("value")

    def wait(self, condition, seconds=60):
        """Waits until a condition of the page is true, which is tried again at each frame."""
        script = f"""new Promise((done) => {{
            const end = performance.now() + {seconds * 1000};
            const look = () => {{
                let value = false;
                try {{ value = ({condition}); }} catch (error) {{ /* not yet */ }}
                if (value || performance.now() > end) done(Boolean(value)); else setTimeout(look, 10);
            }};
            look();
        }})"""
        assert self.run(script), f"not true within {seconds} s: {condition}"

    def cost(self, script):
        """Returns the CPU time of the main thread, in ms, from a script until the frame after it is drawn."""
        def spent():
            metrics = self.call("Performance.getMetrics")["metrics"]
            return next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")

        before = spent()
        self.run(f"""Promise.resolve({script})
            .then(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))).then(() => undefined)""")
        return (spent() - before) * 1000

    def press(self, *keys):
        """Presses keys: "Tab", "Shift+Tab", "Enter", "Escape", or a character."""
        codes = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32}
        for key in keys:
            shift, key = key.startswith("Shift+"), key.removeprefix("Shift+")
            text = "\r" if key == "Enter" else key if len(key) == 1 else ""
            values = {"key": key, "code": key, "windowsVirtualKeyCode": codes.get(key, 0),
                      "modifiers": 8 if shift else 0}
            self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **values)
            self.call("Input.dispatchKeyEvent", type="keyUp", **values)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def tab_to(self, condition, most=400):
        """Presses Tab until the focused element, `node`, fulfils a condition."""
        for _ in range(most):
            self.press("Tab")
            if self.run(f"((node) => {condition})(document.activeElement)"):
                return
        raise AssertionError(f"no Tab leads to: {condition}")

    def picture(self, file, whole=True):
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        picture = self.call("Page.captureScreenshot", captureBeyondViewport=whole, **({"clip": clip} if whole else {}))
        Path(file).write_bytes(base64.b64decode(picture["data"]))

    def problems(self):
        """Returns the console errors, exceptions, failed loads and violations of the policy until now."""
        self.run("0")
        for event in self.browser.events.pop(self.session, ()):
            params = event["params"]
            if event["method"] == "Runtime.exceptionThrown":
                self.errors.append(str(params["exceptionDetails"].get("exception", params)))
            if event["method"] == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
                self.errors.append(str(params["args"]))
            if event["method"] == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
                self.errors.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        return self.errors

    def close(self):
        self.browser.call("Target.disposeBrowserContext", browserContextId=self.context)
