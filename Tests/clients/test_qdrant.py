# SPDX-License-Identifier: Apache-2.0
"""qdrant-client against Atoll, compared with qdrant-client's own in-process mode on the same random data and filters."""

import math
import random
import uuid
import warnings

import numpy as np
import pytest
from people import Person
from qdrant_client import QdrantClient, models

warnings.filterwarnings("ignore", message="Api key is used with an insecure connection")
warnings.filterwarnings("ignore", message="Qdrant client version")
warnings.filterwarnings("ignore", message="Payload indexes have no effect")
warnings.filterwarnings("ignore", category=DeprecationWarning)

COUNT = 180
SIZES = {"image": 12, "text": 7}
DISTANCES = [models.Distance.COSINE, models.Distance.DOT, models.Distance.EUCLID, models.Distance.MANHATTAN]
CITIES = ["Berlin", "London", "Moscow", "Mexico City", "São Paulo"]


def vector(rng, size):
    return rng.uniform(-1, 1, size).astype(np.float32).tolist()


def sparse(rng):
    indices = sorted(int(i) for i in rng.choice(60, size=rng.integers(1, 9), replace=False))
    return models.SparseVector(indices=indices, values=[float(np.float32(v)) for v in rng.uniform(0.1, 1, len(indices))])


def payload(rng, number):
    """A payload with every kind of value that filters look at."""
    made = {
        "n": number,
        "rand": float(rng.random()),
        "city": CITIES[int(rng.integers(len(CITIES)))],
        "tags": [CITIES[int(i)] for i in rng.integers(len(CITIES), size=rng.integers(0, 4))],
        "flag": bool(rng.integers(2)),
        "text": " ".join(str(w) for w in rng.choice(["red", "green", "blue", "dark"], size=3)),
        "place": {"lon": float(rng.uniform(-180, 180)), "lat": float(rng.uniform(-89, 89))},
        "made_at": f"20{int(rng.integers(10, 24))}-0{int(rng.integers(1, 10))}-1{int(rng.integers(0, 10))}T0{int(rng.integers(0, 10))}:00:00Z",
        "nested": {
            "id": int(rng.integers(6)),
            "list": [{"a": int(rng.integers(4)), "b": int(rng.integers(4))} for _ in range(int(rng.integers(1, 4)))],
        },
    }
    if rng.random() < 0.3:
        made["maybe"] = None if rng.random() < 0.5 else "here"
    if rng.random() < 0.2:
        made["empty"] = []
    return made


def condition(rng, depth=0):
    """A random condition."""
    choices = [
        lambda: models.FieldCondition(key="city", match=models.MatchValue(value=str(rng.choice(CITIES)))),
        lambda: models.FieldCondition(key="n", match=models.MatchValue(value=int(rng.integers(COUNT)))),
        lambda: models.FieldCondition(key="flag", match=models.MatchValue(value=bool(rng.integers(2)))),
        lambda: models.FieldCondition(key="tags", match=models.MatchAny(any=[str(c) for c in rng.choice(CITIES, 2)])),
        lambda: models.FieldCondition(key="tags", match=models.MatchExcept(**{"except": [str(rng.choice(CITIES))]})),
        lambda: models.FieldCondition(key="nested.id", match=models.MatchAny(any=[int(i) for i in rng.integers(6, size=2)])),
        lambda: models.FieldCondition(key="nested.list[].a", match=models.MatchValue(value=int(rng.integers(4)))),
        lambda: models.FieldCondition(key="nested.list[0].b", match=models.MatchValue(value=int(rng.integers(4)))),
        lambda: models.FieldCondition(key="text", match=models.MatchText(text=str(rng.choice(["red", "gre", "dark"])))),
        lambda: models.FieldCondition(key="rand", range=models.Range(gte=float(rng.random() / 2), lt=0.9)),
        lambda: models.FieldCondition(key="n", range=models.Range(gt=int(rng.integers(COUNT)))),
        lambda: models.FieldCondition(key="n", range=models.Range(lte=int(rng.integers(COUNT)))),
        lambda: models.FieldCondition(key="nested.list[].b", range=models.Range(gt=2)),
        lambda: models.FieldCondition(
            key="made_at", range=models.DatetimeRange(gte=f"20{int(rng.integers(10, 24))}-01-01T00:00:00Z")
        ),
        lambda: models.FieldCondition(
            key="place",
            geo_bounding_box=models.GeoBoundingBox(
                top_left=models.GeoPoint(lon=float(rng.uniform(-180, 180)), lat=60),
                bottom_right=models.GeoPoint(lon=float(rng.uniform(-180, 180)), lat=-60),
            ),
        ),
        lambda: models.FieldCondition(
            key="place",
            geo_radius=models.GeoRadius(
                center=models.GeoPoint(lon=float(rng.uniform(-180, 180)), lat=float(rng.uniform(-80, 80))), radius=5e6
            ),
        ),
        lambda: models.FieldCondition(
            key="place",
            geo_polygon=models.GeoPolygon(
                exterior=models.GeoLineString(
                    points=[
                        models.GeoPoint(lon=x, lat=y) for x, y in [(-100, -50), (90, -60), (120, 70), (-80, 40), (-100, -50)]
                    ]
                ),
                interiors=[
                    models.GeoLineString(
                        points=[models.GeoPoint(lon=x, lat=y) for x, y in [(-10, -10), (10, -10), (10, 10), (-10, 10), (-10, -10)]]
                    )
                ],
            ),
        ),
        lambda: models.FieldCondition(key="tags", values_count=models.ValuesCount(gte=int(rng.integers(4)))),
        lambda: models.FieldCondition(key="nested.list", values_count=models.ValuesCount(lt=3)),
        lambda: models.IsEmptyCondition(is_empty=models.PayloadField(key=str(rng.choice(["maybe", "empty", "tags"])))),
        lambda: models.IsNullCondition(is_null=models.PayloadField(key="maybe")),
        lambda: models.HasIdCondition(has_id=[int(i) for i in rng.integers(COUNT, size=40)]),
        lambda: models.HasVectorCondition(has_vector="text"),
        lambda: models.NestedCondition(
            nested=models.Nested(
                key="nested.list",
                filter=models.Filter(
                    must=[
                        models.FieldCondition(key="a", match=models.MatchValue(value=int(rng.integers(4)))),
                        models.FieldCondition(key="b", range=models.Range(gte=int(rng.integers(4)))),
                    ]
                ),
            )
        ),
    ]
    if depth < 2:
        choices += [lambda: random_filter(rng, depth + 1)] * 3
    return choices[int(rng.integers(len(choices)))]()


def random_filter(rng, depth=0):
    """A random filter of a few conditions."""
    conditions = [condition(rng, depth) for _ in range(int(rng.integers(1, 4)))]
    kind = int(rng.integers(4))
    if kind == 0:
        return models.Filter(must=conditions)
    if kind == 1:
        return models.Filter(should=conditions)
    if kind == 2:
        return models.Filter(must_not=conditions)
    return models.Filter(min_should=models.MinShould(conditions=conditions, min_count=int(rng.integers(1, 3))))


class Pair:
    """The same collection in Atoll and in the client's own mode."""

    def __init__(self, remote, name, owner=None):
        self.remote = remote
        # Whoever makes the collection; the project's do not list points by their ids in a Qdrant behind Atoll.
        self.owner = owner or remote
        self.is_shared = owner is not None
        self.local = QdrantClient(":memory:")
        self.name = name

    def both(self, call):
        return call(self.remote), call(self.local)

    def do(self, call):
        """A change made in both."""
        self.both(call)

    def check(self, call, ordered=True):
        """The same answer from both."""
        remote, local = self.both(call)
        if self.is_shared and isinstance(remote, tuple) and not ordered:
            remote, local = (sorted(found[0], key=lambda p: str(p.id)) for found in (remote, local))
        compare(remote, local)
        return remote


def compare(remote, local):
    """Equal as far as an engine promises it: points of equal score may come in another order."""
    if hasattr(remote, "points"):
        remote, local = remote.points, local.points
    if hasattr(remote, "groups"):
        # A point with several values begins several groups, in any order.
        best = lambda group: (-round(group.hits[0].score, 3), str(group.id))
        rising = local.groups[0].hits[0].score < local.groups[-1].hits[0].score
        for groups in (remote.groups, local.groups):
            groups.sort(key=lambda g: (best(g)[0] * (-1 if rising else 1), best(g)[1]))
        assert [g.id for g in remote.groups] == [g.id for g in local.groups]
        for one, other in zip(remote.groups, local.groups):
            compare(one.hits, other.hits)
            assert (one.lookup and one.lookup.payload) == (other.lookup and other.lookup.payload)
        return
    if isinstance(remote, tuple):
        compare(remote[0], local[0])
        assert remote[1] == local[1]
        return
    if not isinstance(remote, list):
        assert remote == local
        return
    assert len(remote) == len(local), f"{len(remote)} != {len(local)}"
    if not remote:
        return
    if hasattr(remote[0], "score"):
        for one, other in zip(remote, local):
            assert math.isclose(one.score, other.score, rel_tol=1e-3, abs_tol=1e-4), (one, other)
        # What scores alike at the end may be cut differently.
        last = remote[-1].score
        remote = [p for p in remote if not math.isclose(p.score, last, rel_tol=1e-3, abs_tol=1e-4)]
        local = [p for p in local if not math.isclose(p.score, last, rel_tol=1e-3, abs_tol=1e-4)]
        remote.sort(key=lambda p: (round(p.score, 3), str(p.id)))
        local.sort(key=lambda p: (round(p.score, 3), str(p.id)))
        if [p.id for p in remote] != [p.id for p in local]:
            assert sorted(str(p.id) for p in remote) == sorted(str(p.id) for p in local)
            order = {p.id: i for i, p in enumerate(local)}
            remote.sort(key=lambda p: order[p.id])
    for one, other in zip(remote, local):
        if hasattr(one, "id"):
            assert one.id == other.id
            assert (one.payload or None) == (other.payload or None)
            compare_vectors(one.vector, other.vector)
        else:
            assert one == other


def compare_vectors(one, other):
    if isinstance(one, dict) and isinstance(other, dict):
        assert one.keys() == other.keys()
        for name in one:
            compare_vectors(one[name], other[name])
    elif isinstance(one, models.SparseVector):
        assert one.indices == other.indices
        np.testing.assert_allclose(one.values, other.values, rtol=1e-4)
    elif one is None or other is None:
        assert one == other
    else:
        np.testing.assert_allclose(np.array(one), np.array(other), rtol=1e-3, atol=1e-5)


def client_of(server, key):
    return QdrantClient(host="127.0.0.1", port=server.vectors_port, api_key=key, https=False, timeout=30)


@pytest.fixture(scope="module")
def own(server):
    """Atoll's own store, with the service key."""
    return client_of(server, server.status["SERVICE_ROLE_KEY"])


@pytest.fixture(scope="module")
def external(gateway):
    """An Atoll in front of another Qdrant, with a user's token."""
    return client_of(gateway, Person(gateway, "keeper").session.access_token)


@pytest.fixture(scope="module", params=["own", "external"])
def remote(request):
    return request.getfixturevalue(request.param)


def points(rng, distance_count=1):
    made = []
    for number in range(COUNT):
        vectors = {"image": vector(rng, SIZES["image"]), "words": sparse(rng)}
        if rng.random() < 0.9:
            vectors["text"] = vector(rng, SIZES["text"])
        vectors["rows"] = [vector(rng, 5) for _ in range(int(rng.integers(1, 4)))]
        identity = number if number % 3 else str(uuid.UUID(int=int(rng.integers(1 << 60))))
        made.append(models.PointStruct(id=identity, vector=vectors, payload=payload(rng, number)))
    return made


CASES = [("own", distance) for distance in DISTANCES] + [
    ("external", models.Distance.COSINE),
    # A collection of the project, whose rows a token finds beside those of others.
    ("external-shared", models.Distance.EUCLID),
]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}-{case[1].value}")
def pair(request):
    """A collection with dense, sparse and multivectors under each distance, filled alike."""
    rng = np.random.default_rng(11)
    store, distance = request.param
    remote = request.getfixturevalue(store.split("-")[0])
    owner = None
    if store == "external-shared":
        gateway = request.getfixturevalue("gateway")
        owner = client_of(gateway, gateway.status["SERVICE_ROLE_KEY"])
    pair = Pair(remote, f"congruence_{distance.value}", owner)
    pair.points = points(rng)

    def make(client):
        client.create_collection(
            pair.name,
            vectors_config={
                "image": models.VectorParams(size=SIZES["image"], distance=distance),
                "text": models.VectorParams(size=SIZES["text"], distance=distance),
                "rows": models.VectorParams(
                    size=5,
                    distance=distance,
                    multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM),
                ),
            },
            sparse_vectors_config={"words": models.SparseVectorParams(modifier=models.Modifier.IDF)},
        )
        for key, schema in [("n", "integer"), ("rand", "float"), ("city", "keyword"), ("tags", "keyword"), ("made_at", "datetime")]:
            client.create_payload_index(pair.name, key, schema, wait=True)

    make(pair.owner)
    make(pair.local)
    pair.do(lambda c: c.upsert(pair.name, pair.points, wait=True))
    yield pair
    pair.owner.delete_collection(pair.name)


class TestReads:
    def test_scroll_and_retrieve(self, pair):
        if pair.is_shared:
            assert pair.remote.scroll(pair.name, limit=20)[1] is not None
        else:
            pair.check(lambda c: c.scroll(pair.name, limit=20, with_vectors=True))
        offset = None
        seen = 0
        while True:
            page = lambda c: c.scroll(pair.name, limit=50, offset=offset)
            found, after = page(pair.remote) if pair.is_shared else pair.check(page)
            seen += len(found)
            if after is None:
                break
            offset = after
        assert seen == COUNT
        ids = [p.id for p in pair.points[:10]]
        pair.check(lambda c: c.retrieve(pair.name, ids, with_vectors=True))
        pair.check(lambda c: c.retrieve(pair.name, ids + [10**9], with_payload=["nested.list[].a", "n"]))
        pair.check(lambda c: c.retrieve(pair.name, ids, with_payload=models.PayloadSelectorExclude(exclude=["nested.id", "tags"])))
        pair.check(lambda c: c.retrieve(pair.name, ids, with_payload=False, with_vectors=["image"]))

    def test_scroll_in_order(self, pair):
        for order in ["n", models.OrderBy(key="rand", direction="desc"), models.OrderBy(key="n", start_from=50)]:
            pair.check(lambda c: c.scroll(pair.name, order_by=order, limit=30))

    def test_filters(self, pair):
        rng = np.random.default_rng(5)
        for _ in range(150):
            made = random_filter(rng)
            remote, local = pair.both(lambda c: c.count(pair.name, count_filter=made).count)
            assert remote == local, made
        for _ in range(25):
            made = random_filter(rng)
            pair.check(lambda c: c.scroll(pair.name, scroll_filter=made, limit=COUNT), ordered=False)

    def test_facet(self, pair):
        for key in ["city", "tags", "n"]:
            remote, local = pair.both(lambda c: c.facet(pair.name, key, limit=7).hits)
            assert [(h.value, h.count) for h in remote] == [(h.value, h.count) for h in local]

    def test_matrix(self, pair):
        pairs = pair.remote.search_matrix_pairs(pair.name, sample=8, limit=3, using="image").pairs
        assert len(pairs) == 24
        ids = [p.id for p in pair.points]
        found = pair.remote.search_matrix_offsets(
            pair.name, sample=COUNT, limit=2, using="image", query_filter=models.Filter(must=[models.HasIdCondition(has_id=ids[:6])])
        )
        expected = pair.local.search_matrix_offsets(
            pair.name, sample=COUNT, limit=2, using="image", query_filter=models.Filter(must=[models.HasIdCondition(has_id=ids[:6])])
        ) if all(isinstance(i, int) for i in ids[:6]) else None
        assert len(found.ids) == 6 and len(found.scores) == 12
        if expected:
            assert found.ids == expected.ids
            np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-3, atol=1e-4)

    def test_sample(self, pair):
        found = pair.remote.query_points(pair.name, query=models.SampleQuery(sample=models.Sample.RANDOM), limit=20).points
        assert len({p.id for p in found}) == 20


class TestQueries:
    def test_nearest(self, pair):
        rng = np.random.default_rng(21)
        for _ in range(12):
            made = random_filter(rng)
            for using, size in SIZES.items():
                query = vector(rng, size)
                pair.check(lambda c: c.query_points(pair.name, query=query, using=using, limit=12))
                pair.check(
                    lambda c: c.query_points(
                        pair.name, query=query, using=using, query_filter=made, limit=9, offset=2, with_payload=["n"], with_vectors=[using]
                    )
                )
            words = sparse(rng)
            pair.check(lambda c: c.query_points(pair.name, query=words, using="words", limit=10))
            rows = [vector(rng, 5) for _ in range(2)]
            pair.check(lambda c: c.query_points(pair.name, query=rows, using="rows", limit=10))

    def test_nearest_to_a_point(self, pair):
        for point in pair.points[:4]:
            pair.check(lambda c: c.query_points(pair.name, query=point.id, using="image", limit=8))
            pair.check(lambda c: c.query_points(pair.name, query=point.id, using="words", limit=8))
            pair.check(lambda c: c.query_points(pair.name, query=point.id, using="rows", limit=8))

    def test_threshold(self, pair):
        rng = np.random.default_rng(2)
        query = vector(rng, SIZES["image"])
        best = pair.local.query_points(pair.name, query=query, using="image", limit=20).points
        pair.check(lambda c: c.query_points(pair.name, query=query, using="image", limit=50, score_threshold=best[9].score + 1e-6))

    def test_recommend(self, pair):
        rng = np.random.default_rng(3)
        usable = [p for p in pair.points if "text" in p.vector]
        for strategy in models.RecommendStrategy:
            for using in ["image", "text", "rows"]:
                chosen = [usable[int(i)].id for i in rng.choice(len(usable), 5, replace=False)]
                query = models.RecommendQuery(
                    recommend=models.RecommendInput(positive=chosen[:3], negative=chosen[3:], strategy=strategy)
                )
                pair.check(lambda c: c.query_points(pair.name, query=query, using=using, limit=10))
            raw = models.RecommendQuery(
                recommend=models.RecommendInput(positive=[vector(rng, SIZES["image"]), usable[0].id], strategy=strategy)
            )
            pair.check(lambda c: c.query_points(pair.name, query=raw, using="image", limit=10, query_filter=random_filter(np.random.default_rng(4))))
        only_negative = models.RecommendQuery(
            recommend=models.RecommendInput(negative=[usable[1].id], strategy=models.RecommendStrategy.BEST_SCORE)
        )
        pair.check(lambda c: c.query_points(pair.name, query=only_negative, using="image", limit=10))

    def test_recommend_sparse(self, pair):
        rng = np.random.default_rng(8)
        for _ in range(3):
            chosen = [pair.points[int(i)].id for i in rng.choice(COUNT, 3, replace=False)]
            query = models.RecommendQuery(recommend=models.RecommendInput(positive=chosen[:2], negative=chosen[2:]))
            pair.check(lambda c: c.query_points(pair.name, query=query, using="words", limit=5))

    def test_discover_and_context(self, pair):
        rng = np.random.default_rng(9)
        for using in ["image", "rows"]:
            chosen = [pair.points[int(i)].id for i in rng.choice(COUNT, 5, replace=False)]
            pairs = [
                models.ContextPair(positive=chosen[1], negative=chosen[2]),
                models.ContextPair(positive=chosen[3], negative=chosen[4]),
            ]
            discover = models.DiscoverQuery(discover=models.DiscoverInput(target=chosen[0], context=pairs))
            pair.check(lambda c: c.query_points(pair.name, query=discover, using=using, limit=10))
            context = models.ContextQuery(context=pairs)
            pair.check(lambda c: c.query_points(pair.name, query=context, using=using, limit=10))

    def test_order_by(self, pair):
        query = models.OrderByQuery(order_by=models.OrderBy(key="rand", direction=models.Direction.DESC))
        remote, local = pair.both(lambda c: c.query_points(pair.name, query=query, limit=15).points)
        assert [(p.id, p.order_value) for p in remote] == [(p.id, p.order_value) for p in local]

    def test_no_query(self, pair):
        made = random_filter(np.random.default_rng(14))
        remote, local = pair.both(lambda c: c.query_points(pair.name, query_filter=made, limit=15).points)
        if pair.is_shared:
            assert len(remote) == len(local)
        else:
            assert [p.id for p in remote] == [p.id for p in local]

    def test_fusion(self, pair):
        rng = np.random.default_rng(30)
        for fusion in [models.Fusion.RRF, models.Fusion.DBSF]:
            for _ in range(4):
                prefetch = [
                    models.Prefetch(query=vector(rng, SIZES["image"]), using="image", limit=20),
                    models.Prefetch(query=sparse(rng), using="words", limit=15, filter=random_filter(rng)),
                    models.Prefetch(query=vector(rng, SIZES["text"]), using="text", limit=10),
                ]
                pair.check(lambda c: c.query_points(pair.name, prefetch=prefetch, query=models.FusionQuery(fusion=fusion), limit=12))

    def test_stages(self, pair):
        rng = np.random.default_rng(31)
        inner = models.Prefetch(query=vector(rng, SIZES["text"]), using="text", limit=60)
        query = vector(rng, SIZES["image"])
        second = pair.check(lambda c: c.query_points(pair.name, prefetch=inner, query=query, using="image", limit=25))
        # The client's own mode passes nested prefetches on in another way, so the third stage is one of its own there.
        rows = [vector(rng, 5), vector(rng, 5)]
        prefetch = models.Prefetch(prefetch=inner, query=query, using="image", limit=25)
        remote = pair.remote.query_points(pair.name, prefetch=prefetch, query=rows, using="rows", limit=10)
        among = models.Filter(must=[models.HasIdCondition(has_id=[p.id for p in second.points])])
        local = pair.local.query_points(pair.name, query=rows, using="rows", query_filter=among, limit=10)
        compare(remote, local)

    def test_formula(self, pair):
        rng = np.random.default_rng(32)
        prefetch = models.Prefetch(query=vector(rng, SIZES["image"]), using="image", limit=40)
        formulas = [
            models.SumExpression(sum=["$score", models.MultExpression(mult=[0.5, "rand"])]),
            models.SumExpression(
                sum=[
                    "$score",
                    models.MultExpression(mult=[2.0, models.FieldCondition(key="city", match=models.MatchValue(value="Berlin"))]),
                    models.NegExpression(neg=models.AbsExpression(abs="rand")),
                ]
            ),
            models.GaussDecayExpression(
                gauss_decay=models.DecayParamsExpression(
                    x=models.GeoDistance(geo_distance=models.GeoDistanceParams(origin=models.GeoPoint(lon=10, lat=50), to="place")),
                    scale=3e6,
                )
            ),
            models.ExpDecayExpression(
                exp_decay=models.DecayParamsExpression(
                    x=models.DatetimeKeyExpression(datetime_key="made_at"),
                    target=models.DatetimeExpression(datetime="2020-01-01T00:00:00Z"),
                    scale=86400.0 * 365,
                )
            ),
            models.DivExpression(div=models.DivParams(left="n", right=models.SqrtExpression(sqrt="rand"), by_zero_default=0)),
            models.SumExpression(sum=["missing", "$score[3]"]),
        ]
        for formula in formulas:
            query = models.FormulaQuery(formula=formula, defaults={"missing": 2.5, "$score[3]": 1.0})
            pair.check(lambda c: c.query_points(pair.name, prefetch=prefetch, query=query, limit=10))

    def test_mmr(self, pair):
        rng = np.random.default_rng(33)
        for using, size in SIZES.items():
            query = models.NearestQuery(nearest=vector(rng, size), mmr=models.Mmr(diversity=0.4, candidates_limit=30))
            remote, local = pair.both(lambda c: c.query_points(pair.name, query=query, using=using, limit=6).points)
            assert [p.id for p in remote] == [p.id for p in local]

    def test_groups(self, pair):
        rng = np.random.default_rng(34)
        for key in ["city", "nested.id", "tags"]:
            query = vector(rng, SIZES["image"])
            pair.check(
                lambda c: c.query_points_groups(pair.name, query=query, using="image", group_by=key, limit=6, group_size=2)
            )

    def test_batch(self, pair):
        rng = np.random.default_rng(35)
        requests = [
            models.QueryRequest(query=vector(rng, SIZES["image"]), using="image", limit=5),
            models.QueryRequest(query=sparse(rng), using="words", limit=5, with_payload=True),
        ]
        remote, local = pair.both(lambda c: c.query_batch_points(pair.name, requests=requests))
        assert len(remote) == 2
        for one, other in zip(remote, local):
            compare(one, other)

    def test_older_calls(self, pair):
        rng = np.random.default_rng(36)
        query = vector(rng, SIZES["image"])
        ids = [p.id for p in pair.points[:4]]
        pair.check(lambda c: c.search(pair.name, query_vector=("image", query), limit=7, query_filter=random_filter(np.random.default_rng(1))))
        words = sparse(rng)
        pair.check(lambda c: c.search(pair.name, query_vector=models.NamedSparseVector(name="words", vector=words), limit=7))
        pair.check(lambda c: c.recommend(pair.name, positive=ids[:2], negative=ids[2:3], using="image", limit=7))
        pair.check(
            lambda c: c.discover(
                pair.name, target=ids[0], context=[models.ContextExamplePair(positive=ids[1], negative=ids[2])], using="image", limit=7
            )
        )
        pair.check(
            lambda c: c.search_groups(pair.name, query_vector=("image", query), group_by="city", limit=3, group_size=2)
        )
        searches = [models.SearchRequest(vector=models.NamedVector(name="image", vector=query), limit=3)]
        remote, local = pair.both(lambda c: c.search_batch(pair.name, requests=searches))
        compare(remote[0], local[0])
        recommends = [models.RecommendRequest(positive=ids[:2], using="image", limit=3)]
        remote, local = pair.both(lambda c: c.recommend_batch(pair.name, requests=recommends))
        compare(remote[0], local[0])


class TestWrites:
    """Each change made in both, then everything compared."""

    @pytest.fixture
    def pair(self, remote):
        rng = np.random.default_rng(77)
        pair = Pair(remote, f"writes_{uuid.uuid4().hex[:8]}")
        pair.points = points(rng)[:60]
        pair.do(
            lambda c: c.create_collection(
                pair.name,
                vectors_config={
                    "image": models.VectorParams(size=SIZES["image"], distance=models.Distance.COSINE),
                    "text": models.VectorParams(size=SIZES["text"], distance=models.Distance.DOT),
                    "rows": models.VectorParams(
                        size=5,
                        distance=models.Distance.DOT,
                        multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM),
                    ),
                },
                sparse_vectors_config={"words": models.SparseVectorParams()},
            )
        )
        pair.do(lambda c: c.upsert(pair.name, pair.points, wait=True))
        yield pair
        remote.delete_collection(pair.name)

    def same(self, pair):
        pair.check(lambda c: c.scroll(pair.name, limit=1000, with_vectors=True))

    def test_upsert_replaces(self, pair):
        first = pair.points[1]
        changed = models.PointStruct(id=first.id, vector={"image": [0.5] * SIZES["image"]}, payload={"only": "this"})
        pair.do(lambda c: c.upsert(pair.name, [changed]))
        self.same(pair)

    def test_upsert_batch(self, pair):
        rng = np.random.default_rng(1)
        batch = models.Batch(
            ids=[1000, 1001, 1002],
            vectors={"image": [vector(rng, SIZES["image"]) for _ in range(3)], "text": [vector(rng, SIZES["text"]) for _ in range(3)]},
            payloads=[{"a": 1}, {"b": [1, {"c": None}]}, {}],
        )
        pair.do(lambda c: c.upsert(pair.name, batch))
        self.same(pair)

    def test_upload(self, pair):
        rng = np.random.default_rng(2)
        extra = [models.PointStruct(id=2000 + i, vector={"image": vector(rng, SIZES["image"])}, payload={"i": i}) for i in range(300)]
        pair.do(lambda c: c.upload_points(pair.name, extra, batch_size=64, wait=True))
        self.same(pair)

    def test_delete(self, pair):
        ids = [p.id for p in pair.points]
        pair.do(lambda c: c.delete(pair.name, ids[:3] + [999999]))
        pair.do(lambda c: c.delete(pair.name, models.Filter(must=[models.FieldCondition(key="city", match=models.MatchValue(value="Berlin"))])))
        self.same(pair)

    def test_payload(self, pair):
        ids = [p.id for p in pair.points]
        berlin = models.Filter(must=[models.FieldCondition(key="city", match=models.MatchValue(value="Berlin"))])
        pair.do(lambda c: c.set_payload(pair.name, {"added": [1, 2], "city": "Oslo"}, points=ids[:5]))
        pair.do(lambda c: c.set_payload(pair.name, {"deep": True}, points=berlin))
        pair.do(lambda c: c.set_payload(pair.name, {"deeper": 1}, points=ids[5:9], key="nested.inner"))
        pair.do(lambda c: c.set_payload(pair.name, {"a": 9}, points=ids[5:9], key="nested.list[]"))
        pair.do(lambda c: c.set_payload(pair.name, {"x": 9}, points=ids[9:12], key="nested.list[0]"))
        pair.do(lambda c: c.overwrite_payload(pair.name, {"only": "this"}, points=ids[12:14]))
        pair.do(lambda c: c.delete_payload(pair.name, ["tags", "city"], points=ids[14:20]))
        pair.do(lambda c: c.clear_payload(pair.name, points_selector=ids[20:24]))
        self.same(pair)

    def test_vectors(self, pair):
        rng = np.random.default_rng(4)
        ids = [p.id for p in pair.points]
        pair.do(
            lambda c: c.update_vectors(
                pair.name,
                [
                    models.PointVectors(id=ids[0], vector={"text": [0.25] * SIZES["text"]}),
                    models.PointVectors(id=ids[1], vector={"image": [0.25] * SIZES["image"], "words": models.SparseVector(indices=[3, 1], values=[1.0, 2.0])}),
                    models.PointVectors(id=ids[2], vector={"rows": [[0.5] * 5, [1.0] * 5]}),
                ],
            )
        )
        pair.do(lambda c: c.delete_vectors(pair.name, ["text", "words"], points=ids[3:8]))
        self.same(pair)

    def test_batch_update(self, pair):
        ids = [p.id for p in pair.points]
        operations = [
            models.UpsertOperation(
                upsert=models.PointsList(points=[models.PointStruct(id=5000, vector={"image": [0.5] * SIZES["image"]}, payload={"a": 1})])
            ),
            models.SetPayloadOperation(set_payload=models.SetPayload(payload={"b": 2}, points=[5000])),
            models.OverwritePayloadOperation(overwrite_payload=models.SetPayload(payload={"c": 3}, points=ids[:2])),
            models.DeletePayloadOperation(delete_payload=models.DeletePayload(keys=["a"], points=[5000])),
            models.ClearPayloadOperation(clear_payload=models.PointIdsList(points=ids[2:4])),
            models.UpdateVectorsOperation(
                update_vectors=models.UpdateVectors(points=[models.PointVectors(id=ids[4], vector={"text": [1.0] * SIZES["text"]})])
            ),
            models.DeleteVectorsOperation(delete_vectors=models.DeleteVectors(points=ids[5:7], vector=["image"])),
            models.DeleteOperation(delete=models.PointIdsList(points=ids[7:9])),
        ]
        pair.do(lambda c: c.batch_update_points(pair.name, operations))
        self.same(pair)


class TestCollections:
    def test_life(self, remote):
        name = "life"
        assert not remote.collection_exists(name)
        assert remote.create_collection(
            name,
            vectors_config=models.VectorParams(size=4, distance=models.Distance.EUCLID, on_disk=True),
            hnsw_config=models.HnswConfigDiff(m=24, ef_construct=120),
            quantization_config=models.ScalarQuantization(scalar=models.ScalarQuantizationConfig(type=models.ScalarType.INT8)),
            optimizers_config=models.OptimizersConfigDiff(indexing_threshold=1000),
        )
        assert remote.collection_exists(name)
        assert name in [c.name for c in remote.get_collections().collections]
        info = remote.get_collection(name)
        assert info.status == models.CollectionStatus.GREEN
        assert info.config.params.vectors.size == 4 and info.config.params.vectors.distance == models.Distance.EUCLID
        assert info.config.hnsw_config.m == 24 and info.config.optimizer_config.indexing_threshold == 1000
        assert info.config.quantization_config.scalar.type == models.ScalarType.INT8
        assert remote.update_collection(
            name,
            optimizers_config=models.OptimizersConfigDiff(indexing_threshold=5000),
            hnsw_config=models.HnswConfigDiff(ef_construct=200),
        )
        info = remote.get_collection(name)
        assert info.config.hnsw_config.m == 24 and info.config.hnsw_config.ef_construct == 200
        assert info.config.optimizer_config.indexing_threshold == 5000
        remote.create_payload_index(name, "city", models.KeywordIndexParams(type="keyword", is_tenant=True), wait=True)
        remote.upsert(name, [models.PointStruct(id=1, vector=[1, 2, 3, 4], payload={"city": "Oslo"})])
        schema = remote.get_collection(name).payload_schema
        assert schema["city"].data_type == models.PayloadSchemaType.KEYWORD and schema["city"].points == 1
        remote.delete_payload_index(name, "city", wait=True)
        assert remote.get_collection(name).payload_schema == {}
        assert remote.delete_collection(name) is True
        assert remote.delete_collection(name) is False
        with pytest.raises(Exception) as refused:
            remote.get_collection(name)
        assert refused.value.status_code == 404

    def test_aliases(self, remote):
        for name in ["blue", "green"]:
            remote.create_collection(name, vectors_config=models.VectorParams(size=2, distance=models.Distance.DOT))
            remote.upsert(name, [models.PointStruct(id=len(name), vector=[1, 0], payload={"of": name})])
        create = lambda to: models.CreateAliasOperation(create_alias=models.CreateAlias(collection_name=to, alias_name="live"))
        remote.update_collection_aliases([create("blue")])
        assert remote.scroll("live")[0][0].payload == {"of": "blue"}
        remote.update_collection_aliases([create("green")])
        assert remote.scroll("live")[0][0].payload == {"of": "green"}
        remote.update_collection_aliases(
            [models.RenameAliasOperation(rename_alias=models.RenameAlias(old_alias_name="live", new_alias_name="now"))]
        )
        assert [a.alias_name for a in remote.get_collection_aliases("green").aliases] == ["now"]
        assert any(a.alias_name == "now" for a in remote.get_aliases().aliases)
        with pytest.raises(Exception) as refused:
            remote.create_collection("now", vectors_config=models.VectorParams(size=2, distance=models.Distance.DOT))
        assert refused.value.status_code == 409
        remote.delete_collection("green")
        assert not any(a.alias_name == "now" for a in remote.get_aliases().aliases)
        remote.delete_collection("blue")

    def test_unnamed_vectors_of_each_datatype(self, remote):
        for datatype in models.Datatype:
            remote.create_collection(
                "typed", vectors_config=models.VectorParams(size=3, distance=models.Distance.DOT, datatype=datatype)
            )
            remote.upsert("typed", [models.PointStruct(id=1, vector=[1.0, 2.0, 3.0])])
            assert remote.retrieve("typed", [1], with_vectors=True)[0].vector == [1, 2, 3]
            remote.delete_collection("typed")

    def test_text_index(self, remote):
        remote.create_collection("texts", vectors_config={})
        words = ["The Quick brown fox", "quick silver", "brown bread", "a quicker fox"]
        remote.upsert("texts", [models.PointStruct(id=i, vector={}, payload={"t": w}) for i, w in enumerate(words)])
        by = lambda text: [p.id for p in remote.scroll("texts", models.Filter(must=[models.FieldCondition(key="t", match=models.MatchText(text=text))]))[0]]
        assert by("quick") == [1, 3], "without an index a text is part of the value"
        remote.create_payload_index("texts", "t", models.TextIndexParams(type="text", tokenizer="word", lowercase=True), wait=True)
        assert by("quick") == [0, 1]
        assert by("fox BROWN") == [0]
        remote.create_payload_index("texts", "t", models.TextIndexParams(type="text", tokenizer="prefix"), wait=True)
        assert by("qui fox") == [0, 3]
        remote.delete_collection("texts")
