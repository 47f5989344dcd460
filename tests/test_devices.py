"""Seeds over several devices and processes: the same results as on one, bitwise."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import pytest
from test_resume import CONFIG, RANDOM, SEEDS, fingerprint, run, stopped_at, table

import ednag_jax as ed
from ednag_jax.devices import Devices
from ednag_jax.programs import compiled_evolve_seeds

EXAMPLE = Path(__file__).parents[1] / "docs" / "examples" / "two_hosts.py"
NUM_DEVICES = 8
UNEVEN = 11
"""Seeds, which eight devices do not divide."""


def environment(num_devices):
    """Returns that of a process with virtual devices, which compiles as this one does."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={num_devices}"
    paths = os.pathsep.join([os.path.dirname(__file__), *filter(None, sys.path)])
    return {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "PYTHONPATH": paths}


def on_one_and_on_all(strategy, config):
    """Returns how a run of an uneven number of seeds ends on one device and on all."""
    arguments = {"problem": table().problem, "config": config, "strategy": ed.STRATEGIES[strategy].strategy}
    keys = ed.seed_keys(UNEVEN)
    ends = [
        ed.evolve_seeds(ours, table().params, **arguments)
        for ours in (jax.device_put(keys, jax.devices()[0]), keys)
    ]
    return [fingerprint(end) for end in ends]


def seeds_of_devices(keys):
    """Returns how many seeds each device computed of a run."""
    devices = Devices.for_keys(keys)
    method = {"problem": table().problem, "strategy": RANDOM, "mesh": devices.mesh}
    config, params = devices.copy(CONFIG), devices.copy(table().params)
    state, _ = compiled_evolve_seeds(devices.spread(keys), params, config=config, **method)
    shards = state.best.accuracy.addressable_shards
    return sorted((shard.device.id, shard.data.shape[0]) for shard in shards)


def is_on_one(keys):
    return Devices.for_keys(keys).mesh is None


def chosen(keys):
    """Returns whether a run is on one device: by itself, with keys put on one, with one set as the default."""
    device = jax.devices()[1]
    by_itself, by_keys = is_on_one(keys), is_on_one(jax.device_put(keys, device))
    with jax.default_device(device):
        return [by_itself, by_keys, is_on_one(keys)]


def report_of_many(folder):
    """Prints what the tests look at; in a process with several devices."""
    ednag = ed.EvolveConfig(num_steps=5, population_size=4)
    few, many = ed.seed_keys(3), ed.seed_keys(UNEVEN)
    result = ed.search("random_search", table(), seeds=UNEVEN, config=CONFIG)
    said = {
        "devices": jax.device_count(),
        "ednag": on_one_and_on_all("ednag", ednag),
        "random_search": on_one_and_on_all("random_search", CONFIG),
        "chosen": chosen(few),
        "few": seeds_of_devices(few),
        "many": seeds_of_devices(many),
        "result": result.to_dict(),
        "resumed": fingerprint(run(folder)),
    }
    print(json.dumps(said))


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A run that was stopped on one device."""
    folder = tmp_path_factory.mktemp("begun") / "run"
    stopped_at(6, folder)
    return folder


@pytest.fixture(scope="module")
def many(begun):
    script = f"import test_devices; test_devices.report_of_many({str(begun)!r})"
    ended = subprocess.run(
        [sys.executable, "-c", script], env=environment(NUM_DEVICES), capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ednag", "random_search"])
def test_eight_devices_give_the_same_as_one(strategy, many):
    assert many["devices"] == NUM_DEVICES
    one, eight = many[strategy]
    assert one == eight


@pytest.mark.slow
def test_every_device_has_an_equal_part_of_the_seeds_and_no_more_work_than_seeds(many):
    assert many["many"] == [[device, 2] for device in range(NUM_DEVICES)]  # 11 are filled up to 16
    assert many["few"] == [[device, 1] for device in range(3)]


@pytest.mark.slow
def test_a_run_stays_on_a_device_that_the_user_chose(many):
    assert many["chosen"] == [False, True, True]


@pytest.mark.slow
def test_a_search_over_eight_devices_has_the_result_of_one(many):
    expected = ed.search("random_search", table(), seeds=UNEVEN, config=CONFIG).to_dict()
    assert many["result"]["environment"]["device"].startswith(f"{NUM_DEVICES} x ")
    for where in ("environment", "compile_seconds", "run_seconds"):
        del expected[where], many["result"][where]
    assert many["result"] == expected


@pytest.mark.slow
def test_a_run_stopped_on_one_device_goes_on_on_eight_and_ends_the_same(many):
    assert many["resumed"] == fingerprint(run())


def free_port():
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


@pytest.mark.slow
def test_two_processes_give_the_same_as_one_and_the_first_writes_it(tmp_path):
    """The example for several hosts, on this one: two processes of two devices each."""
    asked = ["--strategy", "random_search", "--seeds", "7", "--queries", "20"]
    place = f"localhost:{free_port()}"
    commands = [
        [sys.executable, str(EXAMPLE), *asked, "--coordinator", place, "--hosts", "2", "--host", str(host)]
        for host in range(2)
    ]
    commands[0] += ["--out", str(tmp_path / "two.json")]
    piped = {"env": environment(2), "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    hosts = [subprocess.Popen(command, **piped) for command in commands]
    try:
        said = [host.communicate(timeout=600) for host in hosts]
    finally:
        for host in hosts:
            host.kill()
    assert [host.returncode for host in hosts] == [0, 0], said
    assert "7 seeds on 4 devices of 2 hosts" in said[0][0]
    assert "seeds on" not in said[1][0]
    found = json.loads((tmp_path / "two.json").read_text())
    benchmark = ed.load_benchmark("nasbench201", dataset="cifar10")
    expected = json.loads(json.dumps(ed.search("random_search", benchmark, seeds=7, queries=20).to_dict()))
    for where in ("environment", "compile_seconds", "run_seconds"):
        del expected[where], found[where]
    assert found == expected


def test_one_device_has_no_mesh_and_nothing_is_moved():
    keys = ed.seed_keys(SEEDS)
    devices = Devices.for_keys(keys)
    assert devices == Devices(SEEDS, None)
    config = ed.EvolveConfig()
    assert devices.copy(config) is config


def test_traced_keys_stay_where_they_are():
    """`evolve_seeds` inside a jit of one's own."""
    seen = []
    jax.jit(lambda keys: seen.append(Devices.for_keys(keys).mesh))(ed.seed_keys(2))
    assert seen == [None]


def test_several_processes_keep_no_checkpoints(monkeypatch, tmp_path):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(ValueError, match="checkpoint needs a single process, got 2"):
        run(tmp_path / "run")
