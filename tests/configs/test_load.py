"""The configuration is read strictly, and every mistake is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from configs.errors import ConfigError
from configs.explain import did_you_mean, dotted_names
from configs.load import load_settings
from configs.settings import Settings

SHIPPED = Path(__file__).parents[2] / "configs" / "weir.yaml"


def _file(folder: Path, text: str) -> Path:
    path = folder / "weir.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def _names(values: dict[str, object], prefix: str = "") -> set[str]:
    found: set[str] = set()
    for name, value in values.items():
        if isinstance(value, dict) and value:
            found |= _names(value, f"{prefix}{name}.")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            found = found.union(*(_names(each, f"{prefix}{name}.") for each in value))
        else:
            found.add(prefix + name)
    return found


def test_no_file_gives_the_defaults() -> None:
    """Without a file and overrides the settings are the defaults."""
    assert load_settings(None) == Settings()


def test_the_shipped_file_is_the_defaults_and_names_every_key() -> None:
    """The file that ships says what would happen anyway, for every key there is."""
    assert load_settings(SHIPPED) == Settings()
    written = _names(yaml.safe_load(SHIPPED.read_text(encoding="utf-8")))
    assert written == set(dotted_names(Settings))


def test_overrides_win_over_the_file_and_leave_its_other_keys(tmp_path: Path) -> None:
    """A dotted override changes one key and keeps the rest of its section."""
    path = _file(tmp_path, "listen:\n  http_port: 9000\n  control_port: 9002\n")
    settings = load_settings(path, {"listen.http_port": 8100, "data": "elsewhere"})
    assert (settings.listen.http_port, settings.listen.control_port) == (8100, 9002)
    assert settings.data == Path("elsewhere")


@pytest.mark.parametrize("text", ["", "listen:\n", "# nothing\n"])
def test_an_empty_file_or_section_keeps_the_defaults(tmp_path: Path, text: str) -> None:
    """A section whose lines are all commented out is no mistake."""
    assert load_settings(_file(tmp_path, text)) == Settings()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("listen: {htp_port: 1}", "'listen.http_port'", id="misspelt"),
        pytest.param("lisen: {}", "'listen'", id="misspelt-section"),
        pytest.param("control_port: 1", "'listen.control_port'", id="wrong-place"),
        pytest.param("listen: {zzz: 1}", "listen.zzz does not exist.", id="unknown"),
        pytest.param("listen: {http_port: 70000}", "listen.http_port: input should be", id="bound"),
        pytest.param("listen: {host: 0.0.0.0}", "needs access.required: true", id="anybody"),
        pytest.param(
            "{listen: {host: 0.0.0.0}, access: {required: true}}", "listen.tls_key", id="in-clear"
        ),
        pytest.param("listen: {tls_key: a}", "both tls_certificate and tls_key", id="half-tls"),
        pytest.param("listen: 7", "listen: input should be", id="not-a-section"),
        pytest.param("listen: {http_port: 5, control_port: 5}", "are both 5", id="same-port"),
        pytest.param(
            "hosts: {shared_in: gateway, shared: 2}",
            "hosts.shared 2 is a number of processes to share, of which hosts.shared_in: gateway "
            "has none: leave hosts.shared out",
            id="two-places-to-share",
        ),
        pytest.param(
            "hosts: {shared_in: gateway, shared: 0}",
            "hosts.shared 0 is a number of processes",
            id="no-place-to-share",
        ),
        pytest.param(
            "hosts: {shared_in: cellar}",
            "hosts.shared_in: input should be 'processes' or 'gateway'",
            id="unknown-place",
        ),
        pytest.param("alarms: {webhook: ftp://a/b}", "must be an address such as", id="ftp"),
        pytest.param("alarms: {webhook: 'http://'}", "must be an address such as", id="no-host"),
        pytest.param(
            "rollouts: {webhook: 'https://a/b'}",
            "needs rollouts.webhook_secret_file",
            id="unsigned-rollouts",
        ),
        pytest.param("rollouts: {default: {dwel_s: 1}}", "'rollouts.default.dwell_s'", id="policy"),
        pytest.param(
            "rollouts: {models: {credit: {guardrails: [{metrc: error_ratio}]}}}",
            "'rollouts.models.credit.guardrails[0].metric'",
            id="policy-of-a-model",
        ),
        pytest.param(
            "rollouts: {models: {credit: {guardrails: [{metric: error_rate}]}}}",
            "rollouts.models.credit.guardrails[0].metric: input should be 'error_ratio'",
            id="unknown-metric",
        ),
        pytest.param("rollouts: {models: {credit: 7}}", "rollouts.models.credit", id="no-policy"),
        pytest.param("rollouts: {default: 7}", "rollouts.default", id="no-default"),
        pytest.param(
            "alarms: {webhook: 'https://a/b'}", "needs alarms.webhook_secret_file", id="unsigned"
        ),
        pytest.param(
            "monitors: {kpis: {m: {profit: {expression: decison}}}}",
            "monitors.kpis.m.profit.expression: 'decison' (character 1): there is no 'decison'",
            id="kpi-of-nothing",
        ),
        pytest.param(
            "monitors: {kpis: {m: {profit: {expresion: score}}}}",
            "Did you mean 'monitors.kpis.m.profit.expression'?",
            id="kpi-misspelt",
        ),
        pytest.param(
            "monitors: {kpis: {m: {Profit: {expression: score}}}}",
            "monitors.kpis.m.Profit",
            id="kpi-name",
        ),
        pytest.param(
            "monitors: {kpis: {m: {p: {expression: score, minimum: 2, maximum: 1}}}}",
            "monitors.kpis.m.p: minimum 2.0 is above maximum 1.0",
            id="kpi-bounds",
        ),
        pytest.param(
            "monitors: {kpis: {m: {p: {expression: score, minimum: .inf}}}}",
            "monitors.kpis.m.p.minimum: input should be a finite number",
            id="kpi-infinite",
        ),
        pytest.param("- a", "keys and values", id="list"),
        pytest.param("a: [", "is not YAML", id="not-yaml"),
        pytest.param("a: !!python/object:os.system {}", "is not YAML", id="python-tag"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, said: str) -> None:
    """Every mistake in a file is a ConfigError that names the file and the key."""
    path = _file(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_settings(path)
    assert said in caught.value.message
    assert str(path) in caught.value.message


def test_one_mistake_is_named_once(tmp_path: Path) -> None:
    """A list is not called too short because its only entry was refused."""
    path = _file(tmp_path, "rollouts: {default: {guardrails: [{metric: error_rate}]}}")
    with pytest.raises(ConfigError) as caught:
        load_settings(path)
    assert caught.value.message.endswith("not 'error_rate'. Did you mean 'error_ratio'?")
    with pytest.raises(ConfigError, match="guardrails: tuple should have at least 1 item"):
        load_settings(_file(tmp_path, "rollouts: {default: {guardrails: []}}"))


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    """Two wrong keys give one error with both names."""
    path = _file(tmp_path, "limits: {deadline_s: 0}\nhosts: {threads: 0}\n")
    with pytest.raises(ConfigError, match=r"limits\.deadline_s.*hosts\.threads"):
        load_settings(path)


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("hosts: {}", False),
        ("hosts: {shared: 3}", False),
        ("hosts: {shared_in: processes, shared: 0}", False),
        ("hosts: {shared_in: gateway}", True),
        ("hosts: {shared_in: gateway, shared: 1}", True),
    ],
)
def test_versions_share_processes_unless_the_gateway_is_named(
    tmp_path: Path, text: str, *, inside: bool
) -> None:
    """Isolation is what one gets without asking."""
    assert load_settings(_file(tmp_path, text)).hosts.inside is inside


def test_alertmanager_needs_no_secret(tmp_path: Path) -> None:
    """It reads no signature."""
    text = "alarms: {webhook: 'http://a:9093/api/v2/alerts', format: alertmanager}"
    assert load_settings(_file(tmp_path, text)).alarms.format == "alertmanager"


def test_the_address_of_a_webhook_is_not_repeated(tmp_path: Path) -> None:
    """It may hold a secret."""
    with pytest.raises(ConfigError) as caught:
        load_settings(_file(tmp_path, "alarms: {webhook: 'https://a/hush'}"))
    assert "hush" not in caught.value.message


def test_a_wrong_override_is_named() -> None:
    """Overrides are checked like the file."""
    with pytest.raises(ConfigError, match=r"listen\.http_prt does not exist"):
        load_settings(None, {"listen.http_prt": 1})


def test_an_override_inside_a_value_is_refused() -> None:
    """A key below something that is no section is a clear error."""
    with pytest.raises(ConfigError, match=r"data must hold keys"):
        load_settings(None, {"data": "x", "data.y": 1})


def test_a_missing_or_binary_file_is_a_clear_error(tmp_path: Path) -> None:
    """A file that cannot be read is named."""
    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings(tmp_path / "none.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings(tmp_path / "bytes.yaml")


def test_no_suggestion_for_a_word_unlike_all_others() -> None:
    """Only near words are suggested."""
    assert did_you_mean("credti", ["credit", "fraud"]) == " Did you mean 'credit'?"
    assert did_you_mean("zzz", ["credit"]) == ""


def test_the_policy_of_a_model_is_over_the_default(tmp_path: Path) -> None:
    """What it leaves out is as in the default, even where it could not stand alone."""
    text = """
    rollouts:
      default: {bake_s: 7, step_max_s: 200000}
      models: {credit: {dwell_s: 100000}}
    """
    rollouts = load_settings(_file(tmp_path, text)).rollouts

    credit = rollouts.policy("credit")
    assert (credit.dwell_s, credit.step_max_s, credit.bake_s) == (100000, 200000, 7)
    assert rollouts.policy("fraud") == rollouts.default
    assert rollouts.default.dwell_s == 300
