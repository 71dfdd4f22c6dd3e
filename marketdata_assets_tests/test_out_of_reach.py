"""What the config of a run may not set: where secrets are sent, and which folders are written."""

from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_representation.external_data import RepositorySnap

from marketdata_assets import environment
from marketdata_assets.definitions import build_definitions, out_of_reach
from marketdata_assets.profile import TUSHARE_URL
from marketdata_assets.resources.tushare import TushareResource
from marketdata_assets.storage.io_manager import LakeResource

TOKEN = "secret-token-91c4"
LIVE = {
    "TUSHARE_TOKEN": TOKEN,
    "HF_TOKEN": "hf_" + TOKEN,
    "HF_DATASET_REPO": "someone/prices",
    "ALERT_URLS": f"json://{TOKEN}@host",
}
FIELDS = {
    "tushare": ("token", "url", "calls_per_minute", "state_folder"),
    "lake": ("root", "origin"),
    "lake_io": ("lake",),
    "publisher": ("token", "endpoint", "repository", "work_folder", "folder"),
    "alerts": ("urls",),
    "instrument_sources": ("tunnel", "tushare", "yahoo_url", "state_folder"),
    "io_manager": ("base_dir",),
    "run_history_days": (),
    "extra_tables": (),
}


@pytest.mark.parametrize("settings", [{}, LIVE], ids=["sandbox", "live"])
def test_a_run_sets_no_field_of_any_resource(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    made = environment.resources({"MARKETDATA_HOME": str(tmp_path), **settings})
    definitions = build_definitions(made)
    repository = definitions.get_repository_def()
    assert {*made, "io_manager"} == set(FIELDS)
    for name in repository.job_names:
        job = definitions.resolve_job_def(name)
        dg.validate_run_config(job, {})
        for resource in FIELDS.keys() & job.resource_defs.keys():
            for field in FIELDS[resource]:
                config = {"resources": {resource: {"config": {field: "http://127.0.0.1:9"}}}}
                with pytest.raises(dg.DagsterInvalidConfigError, match="unexpected config entry"):
                    dg.validate_run_config(job, config)


def test_no_value_of_a_run_is_read_from_the_environment(tmp_path: Path) -> None:
    definitions = build_definitions(environment.resources({"MARKETDATA_HOME": str(tmp_path)}))
    for name in definitions.get_repository_def().job_names:
        types = definitions.resolve_job_def(name).run_config_schema.config_type_dict_by_key
        assert not [key for key in types if "Source" in key]


@pytest.mark.parametrize(
    ("job", "op", "config"),
    [
        ("daily_chain", "hf_dataset", {"repository": {"env": "HF_TOKEN"}}),
        ("daily_chain", "hf_dataset", {"csv": {"env": "HF_TOKEN"}}),
        ("range_queries", "range_query", {"codes": [{"env": "HF_TOKEN"}]}),
        ("range_queries", "range_query", {"as_of": {"env": "HF_TOKEN"}}),
    ],
)
def test_a_run_can_not_ask_for_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, job: str, op: str, config: dict[str, object]
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    made = build_definitions(environment.resources({"MARKETDATA_HOME": str(tmp_path)}))
    with pytest.raises(dg.DagsterInvalidConfigError) as refused:
        dg.validate_run_config(made.resolve_job_def(job), {"ops": {op: {"config": config}}})
    assert TOKEN not in str(refused.value)


def test_assets_are_given_what_is_set_when_the_run_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[str, str, str]] = []

    @dg.asset
    def looking(tushare: TushareResource, lake: LakeResource) -> None:
        given.append((tushare.token, tushare.url, lake.root))

    made = environment.resources({"MARKETDATA_HOME": str(tmp_path), **LIVE})
    reached = {name: out_of_reach(made[name]) for name in ("tushare", "lake")}
    monkeypatch.setenv("TUSHARE_TOKEN", TOKEN)
    with dg.DagsterInstance.ephemeral() as instance:
        assert dg.materialize([looking], instance=instance, resources=reached).success
        evil = {"resources": {"tushare": {"config": {"url": "http://127.0.0.1:9"}}}}
        with pytest.raises(dg.DagsterInvalidConfigError):
            dg.materialize([looking], instance=instance, resources=reached, run_config=evil)
    assert given == [(TOKEN, TUSHARE_URL, str(tmp_path / "live"))]


@pytest.mark.filterwarnings("ignore:Property `ScheduleDefinition")
def test_no_secret_is_in_what_the_definitions_tell_the_ui(tmp_path: Path) -> None:
    made = environment.resources({"MARKETDATA_HOME": str(tmp_path), **LIVE})
    repository = build_definitions(made).get_repository_def()
    assert TOKEN not in dg.serialize_value(RepositorySnap.from_def(repository))
