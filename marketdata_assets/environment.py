"""The one place where settings become resources: the live market, or the sandbox.

Here belongs everything that is read from the environment for resources. Nothing but `definitions`
and the commands imports this, and no asset asks where it runs.
"""

import datetime as dt
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import dagster as dg

from marketdata_assets.hosts import hosts
from marketdata_assets.instruments import UnknownCode, identify
from marketdata_assets.profile import (
    Profile,
    calls_per_minute,
    history_start,
    origin,
    profile,
    profile_root,
    refuse_other_history,
    upstream,
)
from marketdata_assets.resources.alerts import AlertsResource, channel_urls
from marketdata_assets.resources.hugging_face import HUB, HuggingFaceResource
from marketdata_assets.resources.publisher import DatasetFolder, Publisher
from marketdata_assets.resources.sources.routing import InstrumentSources, LiveSources
from marketdata_assets.resources.ssh_endpoint import Endpoint
from marketdata_assets.resources.tushare import TushareResource
from marketdata_assets.resources.tushare_permissions import Asked, asked_of
from marketdata_assets.settings import SettingError, path, port, switch, whole_number
from marketdata_assets.storage.io_manager import LakeIOManager, LakeResource
from marketdata_assets.tables import STORED_TABLES
from marketdata_assets.tables.declaration import Chain

DEFAULT_HISTORY_DAYS = 14
# One of each kind, so that the sandbox has something to show.
SANDBOX_CODES = "000300.SH,H30269.CSI,513100.SH,HSI,NDX,AU.SHF,CL.NYM,BTC"


def resources(env: Mapping[str, str] = os.environ) -> dict[str, object]:
    """The resources of this profile, by the names the assets ask for.

    Raises `SettingError` naming the setting that can't be read.
    """
    refuse_other_history(env)
    root = profile_root(env)
    tushare: TushareResource
    if profile(env) is Profile.SANDBOX:
        from marketdata_sandbox.transport import sandbox_tushare

        tushare = sandbox_tushare(root / "state")
    else:
        tushare = TushareResource(
            token=dg.EnvVar("TUSHARE_TOKEN"),
            url=upstream(env),
            calls_per_minute=calls_per_minute(env),
        )
    lake = lake_resource(env)
    return {
        "tushare": tushare,
        "lake": lake,
        "lake_io": LakeIOManager(lake=lake),
        "publisher": publisher(env),
        "alerts": alerts(env),
        "instrument_sources": instrument_sources(env, tushare),
        "run_history_days": whole_number(env, "RUN_HISTORY_DAYS", DEFAULT_HISTORY_DAYS),
        "extra_tables": extra_tables(env),
    }


def executor(env: Mapping[str, str] = os.environ) -> dg.ExecutorDefinition:
    """Who does the steps of a run: its own process, or the workers of several hosts."""
    if hosts(env) is None:
        return dg.in_process_executor
    from marketdata_assets.celery_steps import executor_of_steps

    return executor_of_steps()


def asked_by_the_account(
    env: Mapping[str, str], chains: Sequence[Chain], day: dt.date
) -> dict[Chain, list[Asked]]:
    """The calls of each chain, each asked once for a row of `day`, which may take a second.

    Nothing is asked after the first error that all calls would meet. For commands: unlike a run
    they have the token itself.
    """
    tushare = TushareResource(
        token=env["TUSHARE_TOKEN"], url=upstream(env), calls_per_minute=calls_per_minute(env)
    )
    client, asked = tushare.client(attempts=1), {}
    try:
        for chain in chains:
            asked[chain] = list(asked_of(chain, client, day))
            if any(one.is_general for one in asked[chain]):
                break
    finally:
        client.close()
    return asked


def alerts(env: Mapping[str, str] = os.environ) -> AlertsResource:
    """The channels of ALERT_URLS, or silence. Raises `SettingError`, never showing any."""
    channels = channel_urls(env.get("ALERT_URLS") or "")
    if not all("://" in channel for channel in channels):
        raise SettingError("ALERT_URLS", "***", "write addresses as apprise does, like json://host")
    return AlertsResource(urls=dg.EnvVar("ALERT_URLS")) if channels else AlertsResource()


def lake_resource(env: Mapping[str, str] = os.environ) -> LakeResource:
    """The lake of this profile, labelled with where its data come from."""
    return LakeResource(root=str(profile_root(env)), origin=origin(env))


def instrument_sources(env: Mapping[str, str], tushare: TushareResource) -> InstrumentSources:
    """Who has histories by code, where they begin, and which codes are always tracked."""
    is_sandbox = profile(env) is Profile.SANDBOX
    first_day = history_start(env)
    codes = tracked_codes(env, SANDBOX_CODES if is_sandbox else "")
    if is_sandbox:
        from marketdata_sandbox.instruments import SandboxSources

        return SandboxSources(first_day=first_day.isoformat(), tracked_codes=codes, tushare=tushare)
    return LiveSources(
        first_day=first_day.isoformat(),
        tracked_codes=codes,
        tushare=tushare,
        tunnel=tunnel_settings(env),
    )


def tracked_codes(env: Mapping[str, str], default: str) -> list[str]:
    """TRACKED_CODES in canonical form. Raises `SettingError` naming what is no code."""
    written = env.get("TRACKED_CODES", default)
    try:
        return [identify(code).code for code in re.split(r"[,;\s]+", written) if code]
    except UnknownCode as unknown:
        raise SettingError("TRACKED_CODES", written, str(unknown)) from None


def extra_tables(env: Mapping[str, str]) -> list[str]:
    """The tables of EXTRA_TABLES. Raises `SettingError` with those that there are."""
    written = env.get("EXTRA_TABLES") or ""
    there = [table.name for table in STORED_TABLES.values() if table.chain is Chain.EXTRAS]
    names = list(dict.fromkeys(filter(None, re.split(r"[,;\s]+", written))))
    if set(names) - set(there):
        raise SettingError("EXTRA_TABLES", written, "write some of {names}", names=", ".join(there))
    return names


def tunnel_settings(env: Mapping[str, str]) -> Endpoint:
    """The SSH_… settings; without SSH_ENABLED there is no tunnel.

    Raises `SettingError` for what is missing when there is to be one.
    """
    if not switch(env, "SSH_ENABLED"):
        return Endpoint()
    for name in ("SSH_HOST", "SSH_USERNAME", "SSH_KEY_PATH"):
        if not env.get(name):
            raise SettingError(name, "", "set it together with SSH_ENABLED")
    if "PRIVATE KEY" in env["SSH_KEY_PATH"]:
        # A resource's fields are shown.
        raise SettingError("SSH_KEY_PATH", "***", "write the path of a file with the key")
    known_hosts = env.get("SSH_KNOWN_HOSTS") or "~/.ssh/known_hosts"
    return Endpoint(
        host=env["SSH_HOST"],
        port=port(env, "SSH_PORT", 22),
        username=env["SSH_USERNAME"],
        key_path=str(path("SSH_KEY_PATH", env["SSH_KEY_PATH"])),
        known_hosts=str(path("SSH_KNOWN_HOSTS", known_hosts)),
        local_port=port(env, "SSH_LOCAL_PORT", 0),
    )


def publisher(env: Mapping[str, str] = os.environ) -> Publisher:
    """The Hub with HF_TOKEN and HF_DATASET_REPO, else the folder `dataset` of this profile.

    The sandbox publishes to the folder whatever is set, unless HF_ENDPOINT names another hub.
    Raises `SettingError` when one of the two settings is missing or can't be read.
    """
    token, repository = env.get("HF_TOKEN") or "", env.get("HF_DATASET_REPO") or ""
    endpoint = env.get("HF_ENDPOINT") or ""
    is_sandbox = profile(env) is Profile.SANDBOX
    if not repository or (is_sandbox and not endpoint):
        if hosts(env) and repository:
            how = "simulated data go to a hub on this machine only: name one, or set TUSHARE_TOKEN"
            raise SettingError("HF_ENDPOINT", "", how)
        if hosts(env):
            how = "several hosts would each publish to a folder of their own, name a hub's dataset"
            raise SettingError("HF_DATASET_REPO", repository, how)
        return DatasetFolder(folder=str(dataset_folder(env)))
    refuse_other_name("HF_DATASET_REPO", repository)
    if not token:
        raise SettingError("HF_TOKEN", "", "set it together with HF_DATASET_REPO, or neither")
    return HuggingFaceResource(
        repository=repository,
        token=dg.EnvVar("HF_TOKEN"),
        endpoint=endpoint.rstrip("/") or HUB,
        work_folder=str(profile_root(env) / "publishing"),
    )


def refuse_other_name(setting: str, repository: str) -> None:
    """Raise `SettingError` for what can be no repository's name."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise SettingError(setting, repository, "write it as owner/name")


def dataset_folder(env: Mapping[str, str] = os.environ) -> Path:
    """Where the dataset is published on this machine."""
    return profile_root(env) / "dataset"
