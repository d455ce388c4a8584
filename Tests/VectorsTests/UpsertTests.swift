// SPDX-License-Identifier: Apache-2.0
import PlatformTestSupport
import Primitives
import TestSupport
import Testing

@testable import Vectors

/// Large upserts, which begin as plain inserts.
@Suite struct UpsertTests {
    private static func points(_ ids: Range<Int>, _ mark: String) -> [JSON] {
        ids.map { point(JSON($0), [1, 0, 0, JSON($0)], ["mark": .string(mark)]) }
    }

    private static func marks(_ fixture: VectorsFixture, _ key: VectorsFixture.Key, _ mark: String) async throws -> Int?
    {
        try await fixture.count(key, "notes", filter: ["must": [["key": "mark", "match": ["value": .string(mark)]]]])
    }

    @Test(arguments: [false, true])
    func pointsThatAreThereAreReplaced(byService: Bool) async throws {
        try await VectorsFixture.run { fixture in
            let alice = byService ? .service : VectorsFixture.Key.person(fixture.alice)
            try await fixture.create(alice, "notes")
            try await fixture.upsert(alice, "notes", Self.points(0..<100, "first"))
            try await fixture.upsert(alice, "notes", Self.points(50..<150, "second"))
            #expect(try await Self.marks(fixture, alice, "first") == 50)
            #expect(try await Self.marks(fixture, alice, "second") == 100)
            // Once a point was there, and where it is the last of a batch.
            try await fixture.upsert(alice, "notes", Self.points(149..<249, "third"))
            #expect(try await Self.marks(fixture, alice, "second") == 99)
            #expect(try await fixture.count(alice, "notes") == 249)
        }
    }

    @Test func aBatchWhoseInsertFailsIsAppliedOnce() async throws {
        try await VectorsFixture.run { fixture in
            let alice = VectorsFixture.Key.person(fixture.alice)
            try await fixture.create(alice, "notes")
            try await fixture.upsert(alice, "notes", Self.points(0..<1, "first"))
            try await fixture.result(
                alice, "POST", "/collections/notes/points/batch?wait=true",
                [
                    "operations": [
                        ["upsert": ["points": .array(Self.points(200..<300, "new"))]],
                        ["set_payload": ["payload": ["mark": "set"], "points": [0]]],
                        ["upsert": ["points": .array(Self.points(0..<100, "over"))]],
                        ["delete": ["points": [299]]],
                    ]
                ])
            #expect(try await Self.marks(fixture, alice, "new") == 99)
            #expect(try await Self.marks(fixture, alice, "over") == 100)
            #expect(try await fixture.count(alice, "notes") == 199)
        }
    }

    @Test(arguments: [false, true])
    func largeUpsertsSideBySideLoseNothing(byService: Bool) async throws {
        try await VectorsFixture.run { fixture in
            let alice = byService ? .service : VectorsFixture.Key.person(fixture.alice)
            try await fixture.create(alice, "notes")
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<4 {
                    group.addTask {
                        try await fixture.upsert(
                            alice, "notes", Self.points((number * 50)..<(number * 50 + 100), "\(number)"))
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await fixture.count(alice, "notes") == 250)
        }
    }

    /// Each kind of id, payload and vector arrives as it was sent.
    @Test func largeUpsertsStoreWhatWasSent() async throws {
        try await VectorsFixture.run { fixture in
            try await fixture.create(.service, "notes")
            let sent = (0..<100).map { number -> JSON in
                var point: JSONObject = ["id": number % 2 == 0 ? JSON(number) : .string("\(UUID.random())")]
                point["vector"] = number % 3 == 0 ? [:] : [0.5, -0.5, 0.5, JSON(number % 2 == 0 ? 0.5 : -0.5)]
                if number % 5 != 0 {
                    point["payload"] = ["number": JSON(number), "text": .string("\"ä\\ \(number)"), "none": nil]
                }
                return .object(point)
            }
            // The last of two points with one id counts.
            let doubled = sent + [["id": 0, "vector": [1, 0, 0, 0], "payload": ["number": -1]]]
            try await fixture.upsert(.service, "notes", doubled)
            let answer = try await fixture.result(
                .service, "POST", "/collections/notes/points/scroll",
                ["limit": 1000, "with_payload": true, "with_vector": true])
            let found = answer["points"]?.arrayValue ?? []
            #expect(found.count == 100)
            let byID = Dictionary(found.map { ($0["id"]?.text ?? "", $0) }, uniquingKeysWith: { first, _ in first })
            for point in sent.dropFirst() {
                let stored = byID[point["id"]?.text ?? ""]
                #expect(stored?["payload"] == point["payload"] ?? [:])
                #expect(stored?["vector"] == point["vector"])
            }
            #expect(byID["0"]?["payload"] == ["number": -1])
            #expect(byID["0"]?["vector"] == [1, 0, 0, 0])
        }
    }

    @Test(arguments: [
        #"{"id": 100, "vector": [1, 2, 3]}"#, #"{"id": -1, "vector": [1, 2, 3, 4]}"#,
        #"{"id": 100, "vector": [1, 2, 3, 4], "payload": {"a": }}"#,
        #"{"id": 100, "vector": [1, 2, 3, 4], "payload": {"a": "\u0000"}}"#,
    ])
    func aBadPointAmongManyLeavesNothing(_ bad: String) async throws {
        try await VectorsFixture.run { fixture in
            try await fixture.create(.service, "notes")
            for key in [VectorsFixture.Key.service, .person(fixture.alice)] {
                let good = Self.points(0..<100, "good").map(\.text).joined(separator: ",")
                let answer = try await fixture.send(
                    key, "PUT", "/collections/notes/points?wait=true", text: "{\"points\":[\(good),\(bad)]}")
                #expect(answer.status == 400)
                #expect(try await fixture.count(.service, "notes") == 0)
            }
        }
    }

    /// In somebody else's name a plain insert is refused as any other.
    @Test func aLargeUpsertInAnothersNameIsRefused() async throws {
        try await VectorsFixture.run { fixture in
            try await fixture.create(.service, "notes")
            let stolen = Self.points(0..<100, "stolen").map { value -> JSON in
                var members = value.objectValue ?? [:]
                members["payload"] = ["user_id": .string("\(fixture.bob.id)")]
                return .object(members)
            }
            let answer = try await fixture.send(
                .person(fixture.alice), "PUT", "/collections/notes/points?wait=true", ["points": .array(stolen)])
            #expect(answer.status == 403)
            #expect(try await fixture.count(.service, "notes") == 0)
            // With the service key the rows are of the user whom the payload names, escaped or not.
            try await fixture.upsert(.service, "notes", stolen)
            #expect(try await fixture.count(.person(fixture.bob), "notes") == 100)
            #expect(try await fixture.count(.person(fixture.alice), "notes") == 0)
        }
    }

    @Test func remembersCollisionsForAWhile() {
        let memory = CollisionMemory(maxEntries: 2)
        #expect(memory.expectsNone(in: 1))
        memory.note(in: 1)
        #expect(!memory.expectsNone(in: 1))
        #expect(memory.expectsNone(in: 2))
        var passed = 1
        while !memory.expectsNone(in: 1) { passed += 1 }
        #expect(passed == 1000)
        memory.note(in: 1)
        memory.note(in: 2)
        memory.note(in: 3)
        #expect(memory.expectsNone(in: 1))
        #expect(!memory.expectsNone(in: 3))
    }
}
