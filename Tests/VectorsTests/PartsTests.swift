// SPDX-License-Identifier: Apache-2.0
import Primitives
import Testing

@testable import Vectors

/// The stages without I/O.
@Suite struct PartsTests {
    @Test(arguments: [
        "0", "-0", "1", "-1.5", "0.1", "1e3", "1E-3", "3.4028234e38", "1.1754944e-38", "1e-45", "0.30000001192092896",
        "123456789012345678901234567890", "0.000000000000000000000000000000123", "16777217", "0.12345678901234568",
    ])
    func readsNumbersAsTheLibraryDoes(_ text: String) throws {
        let bytes = Array(text.utf8)
        let read = try bytes.withUnsafeBytes { buffer in
            var scanner = BodyScanner(buffer)
            return try scanner.float()
        }
        #expect(read == Float(text))
        #expect(try Self.floats("[\(text), 1.25,\(text)]") == [Float(text), 1.25, Float(text)])
    }

    /// The numbers of a list, with room behind it for the way most numbers take, and without.
    private static func floats(_ text: String) throws -> [Float] {
        let read = try ["", String(repeating: " ", count: 64)].map { room in
            let bytes = Array((text + room).utf8)
            return try bytes.withUnsafeBytes { buffer in
                var scanner = BodyScanner(buffer)
                var numbers = [Float](repeating: 0, count: 16)
                let count = try numbers.withUnsafeMutableBufferPointer { try scanner.floats(into: $0) }
                try scanner.expectEnd()
                return Array(numbers.prefix(count))
            }
        }
        #expect(read[0] == read[1], "\(text)")
        return read[1]
    }

    @Test(arguments: [
        "0.12345678", "0.1234567890123456", "0.123456789012345678901234", "9999.99999999999999", "12345.5", "0.5e1",
        "-0.00000000000000001", "922337203685477.5808", "0.9999999999999999999", "0.0012345678901234567",
        "0.00000001234567890123", "0.0000000000000000000000", "0.000000001", "9.9999999999999999999",
    ])
    func readsComponentsAsTheLibraryDoes(_ text: String) throws {
        #expect(try Self.floats("[\(text)]") == [Float(text)])
    }

    @Test(arguments: [
        "[0.5", "[0.5,", "[0.]", "[0.5.5]", "[00.5]", "[0.5x]", "[-.5]", "[0.5 0.5]", "[,0.5]", "[0.5,]", "[0.5]]",
    ])
    func refusesWhatIsNoListOfNumbers(_ text: String) {
        #expect(throws: VectorsError.self) { try Self.floats(text) }
    }

    @Test(arguments: [
        ("0", 0 as UInt64?), ("7", 7), ("123456789012345678", 123_456_789_012_345_678), ("1234567890123456789", nil),
        ("01", nil), ("-1", nil), ("1.5", nil), ("1e3", nil), ("\"a\"", nil), ("", nil),
    ])
    func readsUnsignedIntegers(_ text: String, _ expected: UInt64?) {
        let bytes = Array((text + ",").utf8)
        let read = bytes.withUnsafeBytes { buffer in
            var scanner = BodyScanner(buffer)
            return try? scanner.takeUnsigned()
        }
        #expect(read == expected)
    }

    @Test(arguments: [
        (#"{"user_id":"a"}"#, true), (#"{"n":{"user_id":1}}"#, true), (#"{"user\u005fid":1}"#, true),
        (#"{"user":"id_"}"#, false),
        (#"{"_id":1}"#, false), ("{}", false),
    ])
    func knowsWhetherOwnersMayBeNamed(_ payload: String, _ isPossible: Bool) {
        var batch = PointBatch()
        batch.payloadBytes = Array(payload.utf8)
        #expect(batch.mayNameOwners == isPossible)
    }

    @Test(arguments: ["", "-", "01", "1.", ".5", "1e", "+1", "abc", "1e40", "-1e400"])
    func refusesWhatIsNoNumber(_ text: String) {
        let bytes = Array(text.utf8)
        #expect(throws: VectorsError.self) {
            try bytes.withUnsafeBytes { buffer in
                var scanner = BodyScanner(buffer)
                _ = try scanner.float()
                try scanner.expectEnd()
            }
        }
    }

    @Test func readsRandomNumbersAsTheLibraryDoes() throws {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<5000 {
            let value = Float(bitPattern: UInt32.random(in: 0...UInt32.max, using: &generator))
            guard value.isFinite else { continue }
            for text in [value.description, Double(value).description] {
                let bytes = Array(text.utf8)
                let read = try bytes.withUnsafeBytes { buffer in
                    var scanner = BodyScanner(buffer)
                    return try scanner.float()
                }
                #expect(read == value, "\(text)")
                #expect(try Self.floats("[\(text)]") == [value], "\(text)")
            }
        }
    }

    @Test(arguments: [
        ("a", [PayloadPath.Step.name("a")]), ("a.b", [.name("a"), .name("b")]),
        ("a[].b", [.name("a"), .everyElement, .name("b")]), ("a[0][1]", [.name("a"), .position(0), .position(1)]),
        ("\"a.b\".c", [.name("a.b"), .name("c")]), ("a-b_c", [.name("a-b_c")]),
    ])
    func readsPaths(_ text: String, _ steps: [PayloadPath.Step]) throws {
        #expect(try PayloadPath(text).steps == steps)
    }

    @Test(arguments: ["", ".", "a.", ".a", "a[", "a]", "a[x]", "a[-1]", "\"a", "a..b", "a[0]b"])
    func refusesPaths(_ text: String) {
        #expect(throws: VectorsError.self) { try PayloadPath(text) }
    }

    @Test(arguments: [
        ("2024-02-29", true), ("2023-02-29", false), ("2024-01-01T00:00:00Z", true),
        ("2024-01-01 00:00:00.123+01", true),
        ("2024-01-01T24:00:00Z", false), ("2024-13-01", false), ("20240101", false),
        ("2024-01-01T00:00:00+25:00", false),
        ("2024-01-01T00:00", true), ("2024-01-01T00:00:00.Z", false), ("", false), ("now", false),
    ])
    func readsDateTimes(_ text: String, _ isValid: Bool) {
        #expect((InstantText(text) != nil) == isValid)
    }

    @Test(arguments: [
        #"{"query": [0.5, -1, 2e-3], "limit": 3}"#,
        #"{"limit": 3, "query": {"nearest": [0.25, 1]}, "params": {"exact": true}}"#,
        #"{"query":[1]}"#, #" {"query" : [ 1.5 , 2 ] } "#, #"{"query": {"nearest": [1]}, "using": "\u0061"}"#,
        #"{"query": 7}"#, #"{"query": {"nearest": 7}}"#, #"{"query": {"recommend": {"positive": [[1, 2]]}}}"#,
        #"{"query": [[1, 2]], "limit": 1}"#, #"{"query": {"nearest": [1, 2], "mmr": {"diversity": 0.5}}}"#, "{}", "",
        #"{"query": {"indices": [1], "values": [0.5]}}"#, #"{"query": null}"#,
        #"{"query": [1], "query": [2]}"#, #"{"query": 3, "query": [2]}"#, #"{"query": []}"#, #"{"query": [1, 2,]}"#,
        #"{"query": [1 2]}"#, #"{"query": [1, NaN]}"#, #"{"query": [1e40]}"#, #"{"query": [1]"#, #"{"query": [1]} x"#,
        #"{"query": [1], "limit": }"#, #"{"query": [1], "filter": {"must": [}}"#, #"[1]"#, #"{"query": ["a"]}"#,
        #"{"query": {"nearest": [1]"#, #"{"query": {"nearest": [1], "nearest": [2]}}"#, #"{"query": [true]}"#,
    ])
    func readsQueriesAsAnyJSON(_ text: String) {
        func outcome(_ body: () throws -> QueryBody) -> String {
            do {
                var parser = QueryParser(VectorsConfiguration())
                return "\(try parser.query(try body()))"
            } catch { return "\(VectorsError(error).message)" }
        }
        let bytes = Array(text.utf8)
        let read = outcome { try QueryBody(parsing: bytes, vectorAt: "query") }
        let slowly = outcome {
            QueryBody(members: bytes.isEmpty ? [:] : try VectorsService.object(parsing: bytes))
        }
        #expect(read == slowly)
    }

    @Test func readsVectorsOfQueriesApart() throws {
        let plain = try QueryBody(parsing: Array(#"{"query": [1, 2], "limit": 3}"#.utf8), vectorAt: "query")
        #expect(plain.vector == [1, 2])
        #expect(plain.members["query"] == nil && plain.members["limit"] == 3)
        let nearest = try QueryBody(parsing: Array(#"{"query": {"nearest": [1, 2]}}"#.utf8), vectorAt: "query")
        #expect(nearest.vector == [1, 2])
        let other = try QueryBody(parsing: Array(#"{"query": [1, 2], "vector": [3]}"#.utf8), vectorAt: "vector")
        #expect(other.vector == [3])
        #expect(other.members["query"] != nil)
    }

    @Test func idsSortAndKeepTheirForm() throws {
        let uuid = "550e8400-e29b-41d4-a716-446655440000"
        let ids = try [
            #require(PointID(JSON(0))), #require(PointID(.number("18446744073709551615"))),
            #require(PointID(.string(uuid))),
        ]
        #expect(ids == ids.sorted())
        #expect(ids.map(\.key).sorted { $0.lexicographicallyPrecedes($1) } == ids.map(\.key))
        for id in ids { #expect(PointID(key: id.key) == id) }
        for form in [uuid.uppercased(), uuid.filter { $0 != "-" }, "urn:uuid:\(uuid)"] {
            #expect(PointID(.string(form))?.json == .string(uuid))
        }
        for bad in [JSON(-1), 1.5, "x", "", nil, true] { #expect(PointID(bad) == nil) }
    }

    @Test func fusesByRankAndByDistribution() {
        func hit(_ id: UInt64, _ score: Double) -> Hit { Hit(id: .number(id), score: score) }
        let sources = [[hit(1, 0.9), hit(2, 0.5)], [hit(2, 10), hit(3, 5)]]
        let fused = Fusion.reciprocalRank(constant: 2, weights: []).fuse(sources)
        #expect(fused.map(\.id) == [.number(2), .number(1), .number(3)])
        #expect(fused[0].score == 1.0 / 3 + 1.0 / 2)
        let scaled = Fusion.distribution.fuse(sources)
        #expect(scaled[0].id == .number(2))
        #expect(Fusion.distribution.fuse([[hit(1, 3)]])[0].score == 0.5)
    }
}
