"""What `--help` says, in English and Chinese, argparse's own words too.

Here belongs the one table of texts, by the English one, and the parser that takes them from it.
The language is that of LC_ALL, LC_MESSAGES or LANG. Which commands there are is `__main__`.
"""

import argparse
import os
import sys
from typing import Any, NoReturn

CHINESE = {
    "Chinese market data as Dagster assets. Data and run history are in MARKETDATA_HOME, settings "
    "in .env, both looked for in the working folder.": "以 Dagster 资产管理中国市场数据。"
    "数据与运行历史位于 MARKETDATA_HOME，设置位于 .env，均相对于当前目录。",
    "materialize the last trading days and show them": "生成最近若干交易日的数据并展示",
    "how many trading days (default 20)": "交易日数（默认 20）",
    "Dagster's UI and daemon, and the HTTP API": "启动 Dagster 界面、守护进程和 HTTP API",
    "the UI's port (default 3000)": "界面端口（默认 3000）",
    "where the UI listens (default 127.0.0.1; elsewhere it needs UI_TOKEN)": "界面监听地址"
    "（默认 127.0.0.1；监听其他地址须设 UI_TOKEN）",
    "Dagster's UI alone": "只启动 Dagster 界面",
    "Dagster's daemon alone, which starts the runs": "只启动 Dagster 守护进程，由它发起运行",
    "copy, back up or restore the data, to a folder or to S3": "复制、备份或恢复数据"
    "（文件夹或 S3）",
    "the folder of a profile, like data/live, or s3://bucket/prefix": "某一环境的文件夹，如 "
    "data/live，或 s3://bucket/prefix",
    "the HTTP API": "只启动 HTTP API",
    "of several hosts: takes the steps of runs": "多机部署：执行各次运行的步骤",
    "serve the dataset published on this machine": "在本机提供已发布的数据集",
    "the port (default 8766)": "端口（默认 8766）",
    "publish every stored day that is not published": "发布所有已存储而未发布的交易日",
    "default: HF_DATASET_REPO's": "默认为 HF_DATASET_REPO 所指",
    "compare the published dataset with the lake": "将已发布的数据集与数据湖逐一比较",
    "fill the lake from the published dataset": "由已发布的数据集恢复数据湖",
    "make the days of a range that are lacking": "补齐一段日期中缺少的数据",
    "the first day": "第一天",
    "the last day": "最后一天",
    "some tables alone, separated by commas (default: all of the evening)": "只补这些表，以逗号分隔"
    "（默认为每晚的所有表）",
    "the prices of a code, in the terminal or a file": "查询一个代码的行情，显示或写入文件",
    "like 600000.SH": "如 600000.SH",
    "default: 30 days ago": "默认为 30 天前",
    "default: the last day": "默认为最近一天",
    "adjusted": "复权方式",
    "columns, separated by commas": "列名，以逗号分隔",
    "a file to write, .csv or .parquet": "写入的文件，.csv 或 .parquet",
    "what would stop the evening, and what to do": "检查有什么会妨碍每晚的运行，以及如何处理",
    "the last evening, what is late, what runs next, the disk": "最近一晚、迟到的、"
    "接下来的运行、磁盘",
    "what the checks found, share by share": "逐只列出检查发现",
    "a trading day (default: the last stored)": "交易日（默认为最近存储的一日）",
    "all days from this one on": "自该日起的所有交易日",
    "of one share or fund alone, like 600000.SH": "只看一只股票或基金，如 600000.SH",
    "what is excused too": "也列出已确认无误的",
    "accept what is found of one share": "确认一只股票的发现无误",
    "the share or fund, like 600000.SH": "股票或基金，如 600000.SH",
    "one check alone, like daily_kline.units": "只确认一项检查，如 daily_kline.units",
    "from when on (default: as found)": "自何日起（默认同发现）",
    "until when (default: as found)": "至何日止（默认同发现）",
    "why it is right as it is": "为何无误",
    "accept a refused day of a table as it is": "按原样接受某表被拒的一天",
    "the table, like daily_kline": "表名，如 daily_kline",
    "the trading day": "交易日",
    "show the version and exit": "显示版本并退出",
    "show this help message and exit": "显示本帮助并退出",
    "commands": "命令",
    "positional arguments": "参数",
    "options": "选项",
    "usage: ": "用法：",
    "error: ": "错误：",
    "the following arguments are required:": "缺少参数：",
    "unrecognized arguments:": "无法识别的参数：",
    "invalid choice:": "无此选项：",
    "choose from": "可选",
    "expected one argument": "需要一个值",
    "argument ": "参数 ",
    "write a day, like 2024-03-06": "请写日期，如 2024-03-06",
    "write a port, a number up to 65535": "请写端口号，不大于 65535",
    "write a whole number, like 20": "请写整数，如 20",
}


def is_chinese() -> bool:
    """Whether the user reads Chinese, by the first of the settings of the shell that is there."""
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    return next(filter(None, map(os.environ.get, names)), "").startswith("zh")


def text(english: str) -> str:
    return CHINESE[english] if is_chinese() else english


class CommandParser(argparse.ArgumentParser):
    """A parser whose texts come from the table: what it is given is English."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**{**more, "add_help": False, "formatter_class": _Help})
        for group in (self._positionals, self._optionals):
            group.title = text(str(group.title))
        self.add_argument("-h", "--help", action="help", help="show this help message and exit")

    def add_argument(self, *names: Any, **more: Any) -> argparse.Action:
        return super().add_argument(*names, **{**more, "help": text(more["help"])})

    def error(self, message: str) -> NoReturn:
        if is_chinese():
            for english, chinese in CHINESE.items():
                message = message.replace(english, chinese)
        self.print_usage(sys.stderr)
        self.exit(2, f"{self.prog}: {text('error: ')}{message}\n")


class _Help(argparse.HelpFormatter):
    def add_usage(self, usage: Any, actions: Any, groups: Any, prefix: str | None = None) -> None:
        super().add_usage(usage, actions, groups, text("usage: ") if prefix is None else prefix)
