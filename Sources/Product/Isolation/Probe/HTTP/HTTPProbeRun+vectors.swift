// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

extension HTTPProbeRun {
    private static let base = "/vectors/v1/collections"

    /// Collections, points and aliases: the other's own, one of the same name, and one that the project shares out.
    mutating func crossVectors() async throws {
        try progress.step("vectors", 0, of: 3)
        let served = try await send(ProbeRequest(.get, Self.base, as: mine))
        guard served.status != 404 else {
            isUnserved("vectors")
            return
        }
        let theirs = "of-\(other.tenant.marker)"
        guard try await makeCollection(theirs, as: .member(other)), try await putPoint(theirs, as: other, 1).isSuccess
        else {
            untried("vectors", "collections", .read, "no collection could be made")
            return
        }
        for caller in [ProbeRequest.Caller.member(mine), .visitor] {
            try await attempt("vectors", "collections", .list, ProbeRequest(.get, Self.base, as: caller)) { _ in false }
            try await attempt("vectors", "collections", .list, ProbeRequest(.get, "/vectors/v1/aliases", as: caller)) {
                _ in false
            }
            try await crossCollection(theirs, "another tenant's collection", caller)
        }
        try progress.step("vectors", 1, of: 3)
        try await crossLookups(theirs)
        // A collection of one's own with the same name: the other's must stay what it is.
        if try await makeCollection(theirs, as: .member(mine)), try await putPoint(theirs, as: mine, 2).isSuccess {
            try await crossPoints(theirs, "a collection of the same name", .member(mine))
        }
        _ = try await send(ProbeRequest(.delete, "\(Self.base)/\(theirs)", as: mine))
        try progress.step("vectors", 2, of: 3)
        let shared = "shared-\(mine.tenant.marker)"
        if try await makeCollection(shared, as: .service), try await putPoint(shared, as: other, 1).isSuccess {
            _ = try await putPoint(shared, as: mine, 2)
            for caller in [ProbeRequest.Caller.member(mine), .visitor] {
                try await crossPoints(shared, "the project's collection", caller)
                for (action, request) in [
                    (
                        Crossing.Action.update,
                        ProbeRequest(.patch, "\(Self.base)/\(shared)", as: caller).json([
                            "params": ["on_disk_payload": true]
                        ])
                    ),
                    (.delete, ProbeRequest(.delete, "\(Self.base)/\(shared)", as: caller)),
                ] {
                    try await attempt("vectors", "the project's collection", action, request) { answer in
                        answer.isSuccess && answer.json["result"]?.boolValue != false
                    }
                }
            }
        } else {
            untried("vectors", "the project's collection", .read, "no collection could be made")
        }
        _ = try await send(ProbeRequest(.delete, "\(Self.base)/\(shared)", as: .service))
        _ = try await send(ProbeRequest(.delete, "\(Self.base)/\(theirs)", as: other))
    }

    /// The other's collection as a source for searches in one's own, and its aliases.
    private mutating func crossLookups(_ theirs: String) async throws {
        let own = "own-\(mine.tenant.marker)"
        let title = "another tenant's collection"
        guard try await makeCollection(own, as: .member(mine)), try await putPoint(own, as: mine, 2).isSuccess else {
            untried("vectors", title, .embed, "no collection could be made")
            return
        }
        let from: JSON = ["collection": .string(theirs)]
        let lookups: [(String, JSON)] = [
            ("/points/recommend", ["positive": [1], "limit": 10, "with_payload": true, "lookup_from": from]),
            (
                "/points/query",
                ["query": ["recommend": ["positive": [1]]], "limit": 10, "with_payload": true, "lookup_from": from]
            ),
            ("/points/query", ["query": 1, "limit": 10, "with_payload": true, "lookup_from": from]),
            (
                "/points/query",
                ["prefetch": [["query": 1, "lookup_from": from, "limit": 10]], "query": [1, 0, 0, 0], "limit": 10]
            ),
        ]
        let requests = lookups.map { path, body in
            ProbeRequest(.post, "\(Self.base)/\(own)\(path)", as: mine).json(body)
        }
        try await attempt("vectors", title, .embed, all: requests) { $0.isSuccess }
        let groups = ProbeRequest(.post, "\(Self.base)/\(own)/points/query/groups", as: mine).json([
            "query": [1, 0, 0, 0], "group_by": "user_id", "limit": 10, "group_size": 1,
            "with_lookup": ["collection": .string(theirs), "with_payload": true],
        ])
        try await attempt("vectors", title, .embed, groups) { _ in false }
        // A name that the other's collection goes by as well.
        let alias = "known-\(other.tenant.marker)"
        let named = try await send(
            ProbeRequest(.post, "\(Self.base)/aliases", as: other).json([
                "actions": [["create_alias": ["collection_name": .string(theirs), "alias_name": .string(alias)]]]
            ]))
        if named.isSuccess {
            let read = ["/points/scroll", "/points/search"].map { path in
                ProbeRequest(.post, "\(Self.base)/\(alias)\(path)", as: mine).json([
                    "vector": [1, 0, 0, 0], "limit": 10, "with_payload": true,
                ])
            }
            try await attempt("vectors", "another tenant's alias", .read, all: read) { $0.isSuccess }
            let there = ProbeRequest(.get, "\(Self.base)/\(alias)", as: other)
            let changes: [(Crossing.Action, JSON)] = [
                (.update, ["rename_alias": ["old_alias_name": .string(alias), "new_alias_name": "taken"]]),
                (.delete, ["delete_alias": ["alias_name": .string(alias)]]),
            ]
            for (action, change) in changes {
                let request = ProbeRequest(.post, "\(Self.base)/aliases", as: mine).json(["actions": [change]])
                let run = self
                try await attempt("vectors", "another tenant's alias", action, request) { _ in
                    try await !run.send(there).isSuccess
                }
            }
        }
        _ = try await send(ProbeRequest(.delete, "\(Self.base)/\(own)", as: mine))
    }

    private func makeCollection(_ name: String, as caller: ProbeRequest.Caller) async throws -> Bool {
        try await send(
            ProbeRequest(.put, "\(Self.base)/\(name)", as: caller).json(["vectors": ["size": 4, "distance": "Cosine"]])
        ).isSuccess
    }

    private func putPoint(_ name: String, as session: ProbeSession, _ id: Int) async throws -> ProbeAnswer {
        try await send(
            ProbeRequest(.put, "\(Self.base)/\(name)/points?wait=true", as: session).json([
                "points": [
                    [
                        "id": JSON(id), "vector": [1, 0, 0, 0],
                        "payload": [
                            "user_id": .string(session.tenant.userID.description), "kept": .string(session.mark),
                        ],
                    ]
                ]
            ]))
    }

    /// How many points the other sees in it, and how many of them are what it wrote.
    private func theirCounts(_ name: String) async throws -> [Int?] {
        let all = ProbeRequest(.post, "\(Self.base)/\(name)/points/count", as: other)
        let untouched: JSON = ["must": [["key": "kept", "match": ["value": .string(other.mark)]]]]
        var counts: [Int?] = []
        for body: JSON in [["exact": true], ["exact": true, "filter": untouched]] {
            counts.append(try await send(all.json(body)).json["result"]?["count"]?.intValue)
        }
        return counts
    }

    /// A collection that is the other's alone, by its name.
    private mutating func crossCollection(_ name: String, _ title: String, _ caller: ProbeRequest.Caller) async throws {
        for path in ["", "/aliases", "/points/1"] {
            try await attempt("vectors", title, .read, ProbeRequest(.get, "\(Self.base)/\(name)\(path)", as: caller)) {
                answer in
                answer.isSuccess && path != "/aliases"
            }
        }
        try await attempt("vectors", title, .count, ProbeRequest(.get, "\(Self.base)/\(name)/exists", as: caller)) {
            answer in
            answer.json["result"]?["exists"]?.boolValue == true
        }
        try await crossPoints(name, title, caller)
        let alias = "alias-\(mine.tenant.marker)"
        for (action, request) in [
            (
                Crossing.Action.update,
                ProbeRequest(.patch, "\(Self.base)/\(name)", as: caller).json(["params": ["on_disk_payload": true]])
            ),
            (
                .reference,
                ProbeRequest(.post, "\(Self.base)/aliases", as: caller).json([
                    "actions": [["create_alias": ["collection_name": .string(name), "alias_name": .string(alias)]]]
                ])
            ),
            (
                .update,
                ProbeRequest(.put, "\(Self.base)/\(name)/index", as: caller).json([
                    "field_name": "kept", "field_schema": "keyword",
                ])
            ),
            (.delete, ProbeRequest(.delete, "\(Self.base)/\(name)", as: caller)),
        ] {
            try await attempt("vectors", title, action, request) { answer in
                answer.isSuccess && answer.json["result"]?.boolValue != false
            }
        }
    }

    /// Every way of asking for points and of changing them, with a filter that claims to be the other.
    private mutating func crossPoints(_ name: String, _ title: String, _ caller: ProbeRequest.Caller) async throws {
        let id = JSON.string(other.tenant.userID.description)
        let claim: JSON = ["must": [["key": "user_id", "match": ["value": id]]]]
        let vector: JSON = [1, 0, 0, 0]
        let reads: [(String, JSON)] = [
            ("/points", ["ids": [1], "with_payload": true, "with_vector": true]),
            ("/points/scroll", ["filter": claim, "with_payload": true, "limit": 100]),
            ("/points/scroll", ["with_payload": true, "limit": 100]),
            ("/points/search", ["vector": vector, "filter": claim, "limit": 10, "with_payload": true]),
            ("/points/search", ["vector": vector, "limit": 10, "with_payload": true]),
            ("/points/query", ["query": vector, "limit": 10, "with_payload": true]),
            ("/points/query", ["query": ["recommend": ["positive": [1]]], "limit": 10, "with_payload": true]),
            ("/points/query", ["filter": ["must": [["has_id": [1]]]], "limit": 10, "with_payload": true]),
            ("/points/query/groups", ["query": vector, "group_by": "user_id", "limit": 10, "with_payload": true]),
            ("/points/search/groups", ["vector": vector, "group_by": "kept", "limit": 10, "group_size": 1]),
            ("/points/recommend", ["positive": [1], "limit": 10, "with_payload": true]),
            ("/points/search/batch", ["searches": [["vector": vector, "limit": 10, "with_payload": true]]]),
            (
                "/points/query/batch",
                ["searches": [["query": vector, "limit": 10, "with_payload": true], ["query": 1, "limit": 10]]]
            ),
            ("/points/query", ["query": 1, "limit": 10, "with_payload": true]),
            (
                "/points/query",
                [
                    "prefetch": [["query": vector, "filter": claim, "limit": 10], ["filter": claim, "limit": 10]],
                    "query": ["fusion": "rrf"], "limit": 10, "with_payload": true,
                ]
            ),
            (
                "/points/query",
                [
                    "query": ["discover": ["target": 1, "context": [["positive": 1, "negative": 1]]]], "limit": 10,
                    "with_payload": true,
                ]
            ),
            ("/points/query", ["query": ["order_by": "kept"], "limit": 10, "with_payload": true]),
            ("/points/query", ["query": ["sample": "random"], "limit": 10, "with_payload": true]),
            ("/points/recommend/batch", ["searches": [["positive": [1], "limit": 10, "with_payload": true]]]),
            (
                "/points/recommend/groups",
                ["positive": [1], "group_by": "kept", "limit": 10, "group_size": 1, "with_payload": true]
            ),
            ("/points/discover", ["target": 1, "context": [], "limit": 10, "with_payload": true]),
            ("/points/search/matrix/pairs", ["sample": 10, "limit": 3, "filter": claim]),
            ("/points/scroll", ["order_by": "kept", "with_payload": true, "limit": 100]),
            ("/facet", ["key": "kept"]),
            (
                "/points/scroll",
                [
                    "filter": ["should": [claim, ["must_not": [["key": "user_id", "match": ["value": id]]]]]],
                    "with_payload": true, "limit": 100,
                ]
            ),
        ]
        let requests = reads.map { path, body in
            ProbeRequest(.post, "\(Self.base)/\(name)\(path)", as: caller).json(body)
        }
        try await attempt("vectors", title, .read, all: requests) { _ in false }
        let count = ProbeRequest(.post, "\(Self.base)/\(name)/points/count", as: caller).json([
            "exact": true, "filter": claim,
        ])
        try await attempt("vectors", title, .count, count) { ($0.json["result"]?["count"]?.intValue ?? 0) > 0 }

        let point: JSON = ["id": 1, "vector": [0, 1, 0, 0], "payload": ["user_id": id, "kept": "forged"]]
        let writes: [(Crossing.Action, HTTPMethod, String, JSON)] = [
            (.insert, .put, "/points?wait=true", ["points": [point]]),
            (.update, .post, "/points/payload?wait=true", ["payload": ["kept": "forged"], "filter": claim]),
            (.update, .put, "/points/payload?wait=true", ["payload": ["kept": "forged"], "points": [1]]),
            (.update, .post, "/points/payload/clear?wait=true", ["filter": claim]),
            (.update, .put, "/points/vectors?wait=true", ["points": [["id": 1, "vector": [0, 0, 1, 0]]]]),
            (.delete, .post, "/points/delete?wait=true", ["filter": claim]),
            (.delete, .post, "/points/delete?wait=true", ["points": [1]]),
            (.delete, .post, "/points/batch?wait=true", ["operations": [["delete": ["filter": claim]]]]),
        ]
        for (action, method, path, body) in writes {
            let before = try await theirCounts(name)
            let run = self
            let request = ProbeRequest(method, "\(Self.base)/\(name)\(path)", as: caller).json(body)
            let found = try await attempt("vectors", title, action, request) { _ in
                try await run.theirCounts(name) != before
            }
            if found.isLeak { _ = try await putPoint(name, as: other, 1) }
        }
    }
}
