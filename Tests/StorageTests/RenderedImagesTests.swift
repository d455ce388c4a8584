// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Foundation
import Testing

@testable import Storage

/// What is kept of rendered images.
@Suite struct RenderedImagesTests {
    private static func run(_ body: @Sendable (LocalFolder, String) async throws -> Void) async throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "atoll-rendered-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        try await body(
            try LocalFolder(path: path, workers: try WorkerPool(threads: 1, maxQueued: 8)), "\(path)/rendered")
    }

    private static func write(_ path: String, age: TimeInterval = 0) throws {
        try Data(repeating: 7, count: 1000).write(to: URL(filePath: path))
        try FileManager.default.setAttributes([.modificationDate: Date(timeIntervalSinceNow: -age)], ofItemAtPath: path)
    }

    /// The library writes `<name>.new.png` before it is renamed.
    @Test(arguments: ["0f8a.new", "0f8a.new.png", "0f8a.source"])
    func whatIsBeingMadeStaysWhileTheRestMakesRoom(name: String) async throws {
        try await Self.run { folder, path in
            try Self.write("\(path)/\(name)", age: 60)
            for number in 0..<3 { try Self.write("\(path)/version\(number)_key.png", age: Double(10 - number)) }
            try await folder.trimRendered(to: 1500)
            let left = try FileManager.default.contentsOfDirectory(atPath: path).sorted()
            #expect(left == [name, "version2_key.png"])
        }
    }

    @Test(arguments: ["0f8a.new", "0f8a.new.png", "0f8a.source"])
    func whatAnEarlierRunLeftHalfMadeGoes(name: String) async throws {
        try await Self.run { folder, path in
            try Self.write("\(path)/\(name)", age: 7200)
            try Self.write("\(path)/version_key.png", age: 7200)
            try await folder.trimRendered(to: 1500)
            #expect(try FileManager.default.contentsOfDirectory(atPath: path) == ["version_key.png"])
        }
    }
}
