"""Invented companies: a unique name, an area and an industry for each.

Here belong the words the names are made of. Prefixes such as ST depend on a date and are added
in `listings`. No name here is that of a listed company.
"""

import dataclasses

import numpy as np

_FIRST_CHARACTERS = (
    "岚澜曜砚荻珀翎霁岫汀渚榆槿樾柘楠梓蓼芷蘅荃菁葳薇蔚昱昶晔煦熠"
    "炜焱烁炀铄钺铎锴镒镓珩珺琮璟瑄琰瑭璘玥玮泓沣沅洹浔湛溟滟漪灏"
    "屿峤峒崤嵘巍峄皓皑皎穹宸寰宥宓骁骐骥骧鹭鸢鹄隼翊翮筠筱"
)
_SECOND_CHARACTERS = (
    "川原野谷岭峰岩石溪河湖海洋洲岛港湾桥堤岸林森木松柏竹兰桂枫桐"
    "禾稷麦黍稻茂盛荣昌隆兴旺泰安宁康和顺祥瑞吉庆丰裕足满盈源流泉"
    "鼎钟磬鼓琴瑟笙箫书画墨笔舟帆楫锚辰星斗宿云霞虹雪霜露朝夕晨暮"
)

INDUSTRY_WORDS = {
    "电气设备": "电气",
    "元器件": "电子",
    "软件服务": "软件",
    "专用机械": "装备",
    "化工原料": "化学",
    "汽车配件": "汽配",
    "半导体": "芯片",
    "医疗保健": "医疗",
    "化学制药": "制药",
    "通信设备": "通信",
    "机械基件": "精工",
    "建筑工程": "建设",
    "环境保护": "环保",
    "电器仪表": "仪表",
    "食品": "食品",
    "家用电器": "电器",
    "互联网": "网络",
    "生物制药": "生物",
    "塑料": "新材",
    "中成药": "药业",
    "家居用品": "家居",
    "服饰": "服饰",
    "小金属": "矿业",
    "农药化肥": "农化",
    "航空": "航空",
    "证券": "证券",
    "区域地产": "地产",
    "仓储物流": "物流",
    "供气供热": "燃气",
    "银行": "银行",
    "纺织": "纺织",
    "影视音像": "传媒",
    "百货": "百货",
    "造纸": "纸业",
    "火力发电": "电力",
    "普钢": "钢铁",
    "煤炭开采": "煤业",
    "水泥": "水泥",
    "白酒": "酒业",
    "路桥": "高速",
    "港口": "港务",
    "旅游景点": "旅游",
}
_AREAS_AND_WEIGHTS = {
    "浙江": 72, "江苏": 70, "北京": 48, "广东": 46, "上海": 44, "深圳": 42, "山东": 31,
    "安徽": 18, "四川": 18, "福建": 17, "湖北": 15, "湖南": 15, "河南": 11, "江西": 9,
    "辽宁": 8, "河北": 8, "陕西": 8, "重庆": 8, "天津": 7, "新疆": 6, "吉林": 5, "山西": 4,
    "广西": 4, "云南": 4, "黑龙江": 4, "贵州": 4, "甘肃": 3, "内蒙": 3, "海南": 3, "西藏": 2,
    "宁夏": 2, "青海": 1,
}  # fmt: skip
_UNKNOWN_SHARE = 0.003


@dataclasses.dataclass(frozen=True)
class CompanyDescriptions:
    """Name, area and industry of the first `count` companies, in order of listing."""

    names: list[str]
    areas: list[str | None]
    industries: list[str | None]


def describe_companies(count: int, rng: np.random.Generator) -> CompanyDescriptions:
    """Invent `count` companies. More companies never change the first ones."""
    stems = [first + second for first in _FIRST_CHARACTERS for second in _SECOND_CHARACTERS]
    if count > len(stems):
        raise ValueError(f"{count} companies, but only {len(stems)} names can be formed")
    stem_order = rng.permutation(len(stems))
    # One row per company, so that the first rows do not depend on how many follow.
    draws = rng.random((count, 3))
    industry_names = list(INDUSTRY_WORDS)
    # The square makes the first industries the most common ones, as they are in the market.
    industry_of = (draws[:, 0] ** 2 * len(industry_names)).astype(np.int64)
    area_names = list(_AREAS_AND_WEIGHTS)
    cumulative = np.cumsum(list(_AREAS_AND_WEIGHTS.values()))
    area_of = np.searchsorted(cumulative, draws[:, 1] * cumulative[-1], side="right")
    known = draws[:, 2] >= _UNKNOWN_SHARE
    return CompanyDescriptions(
        names=[
            stems[stem] + INDUSTRY_WORDS[industry_names[industry]]
            for stem, industry in zip(stem_order[:count], industry_of, strict=True)
        ],
        areas=[area_names[i] if ok else None for i, ok in zip(area_of, known, strict=True)],
        industries=[
            industry_names[i] if ok else None for i, ok in zip(industry_of, known, strict=True)
        ],
    )
