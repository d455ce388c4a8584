// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTP
import TestSupport
import Testing

@testable import REST

/// A short run of what `make fuzz` does for long: requests cut, joined and repeated by chance never become a statement with a word of
/// the client's in it.
struct QueryFuzzTests {
    private static let configuration = {
        var configuration = RESTConfiguration()
        configuration.allowsAggregates = true
        configuration.showsPlans = true
        return configuration
    }()

    /// The fuzzer's first inputs, one a line, `\n` for a line feed.
    private static func seeds() throws -> [[UInt8]] {
        let text = try String(contentsOf: URL(filePath: "Fuzz/queries.txt"), encoding: .utf8)
        return text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
            let parts = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
            let rest = parts.count > 1 ? String(parts[1]).replacing("\\n", with: "\n") : ""
            return [UInt8(parts[0]) ?? 0] + Array(rest.utf8)
        }
    }

    @Test func acceptsWhatTheFuzzerBeginsWith() throws {
        for seed in try Self.seeds() {
            let request = FuzzedRequest(seed)
            #expect(request.problem(Self.configuration) == nil)
            #expect(throws: Never.self, "\(request.method) \(request.path)?\(request.query)") {
                let parsed = try APIRequest(
                    method: request.method, path: request.path, query: request.query, headers: request.headers,
                    configuration: Self.configuration)
                var payload: Payload?
                if !request.body.isEmpty {
                    payload = try Payload(
                        request.body, contentType: parsed.contentType, columns: parsed.query.columns,
                        isCall: parsed.action == .call(readOnly: false))
                }
                _ = try RESTService.plan(parsed, payload, FixedSchema.cache, Self.configuration)
            }
        }
    }

    @Test func nothingOfTheClientsStandsBare() throws {
        let seeds = try Self.seeds()
        var random = SeededGenerator(seed: 42)
        let pieces = seeds.flatMap { Array($0).split(whereSeparator: { "&,.()".utf8.contains($0) }).map(Array.init) }
        let hostile: [[UInt8]] = [
            "\"", "'", "\\", "\u{0}", "--", "/*", ";", "$1", "%22", "%27", "%00", "\"\"", "(", ")", ",",
        ]
        .map { Array($0.utf8) }
        for _ in 0..<4_000 {
            var bytes = seeds.randomElement(using: &random) ?? []
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let place = Int.random(in: 0...bytes.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes.insert(contentsOf: hostile.randomElement(using: &random) ?? [], at: place)
                case 1: bytes.insert(contentsOf: pieces.randomElement(using: &random) ?? [], at: place)
                case 2 where place < bytes.count: bytes.remove(at: place)
                default:
                    let end = min(bytes.count, place + Int.random(in: 1...12, using: &random))
                    bytes.insert(contentsOf: bytes[place..<end], at: place)
                }
            }
            if let problem = FuzzedRequest(bytes).problem(Self.configuration) {
                Issue.record("\(String(decoding: bytes, as: UTF8.self)): \(problem)")
                return
            }
        }
    }

    private static func repeated(_ text: String, _ count: Int, separator: String = "") -> String {
        Array(repeating: text, count: count).joined(separator: separator)
    }

    private static let unbounded: [String] = [
        "select=" + repeated("tree(", 40) + "id" + repeated(")", 40),
        "or=" + repeated("(and", 40) + "(id.eq.1)" + repeated(")", 40),
        "select=data" + repeated("->a", 40),
        repeated("tree.", 40) + "id=eq.1",
        repeated("id=eq.1", 1001, separator: "&"),
        "or=(" + repeated("id.eq.1", 1001, separator: ",") + ")",
        "order=" + repeated("id", 1001, separator: ","),
        "select=" + repeated("leaf(id)", 1001, separator: ","),
        "select=" + repeated("*", 400, separator: ","),
        "select=" + repeated("...leaf(*)", 420, separator: ","),
        "id=in.(" + repeated("1", 10_001, separator: ",") + ")",
        "name=eq." + repeated("x", 70_000),
    ]

    @Test(arguments: unbounded)
    func boundsDepthCountAndLength(query: String) throws {
        let error = #expect(throws: RESTError.self) {
            let request = try APIRequest(
                method: .get, path: "/tree", query: query, headers: HTTPHeaders(),
                configuration: Self.configuration)
            _ = try RESTService.plan(request, nil, FixedSchema.cache, Self.configuration)
        }
        #expect(error?.code == "PGRST100" && error?.status == 400)
    }
}
