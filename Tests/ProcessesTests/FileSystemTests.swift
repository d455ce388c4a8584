// SPDX-License-Identifier: Apache-2.0
import Glibc
import Processes
import Testing

@Suite struct FileSystemTests {
    private func withFolder(_ body: (String) throws -> Void) throws {
        let folder = "/tmp/atoll-files-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        try FileSystem.makeFolder(folder, mode: 0o755)
        defer { try? FileSystem.remove(folder) }
        try body(folder)
    }

    @Test func neverWritesThroughALink() throws {
        try withFolder { folder in
            try FileSystem.write("precious", to: "\(folder)/precious", mode: 0o600)
            symlink("\(folder)/precious", "\(folder)/file.new")
            symlink("\(folder)/precious", "\(folder)/file")
            try FileSystem.write("text", to: "\(folder)/file", mode: 0o600)
            #expect(FileSystem.read("\(folder)/precious", maxBytes: 100) == "precious")
            #expect(FileSystem.read("\(folder)/file", maxBytes: 100) == "text")
            #expect(FileSystem.attributes("\(folder)/file", followLinks: false)?.mode == 0o600)
        }
    }

    @Test func neverTakesALinkForAFolder() throws {
        try withFolder { folder in
            try FileSystem.makeFolder("\(folder)/real", mode: 0o755)
            symlink("\(folder)/real", "\(folder)/link")
            #expect(throws: FileSystemError.self) { try FileSystem.makeFolder("\(folder)/link", mode: 0o777) }
            #expect(FileSystem.attributes("\(folder)/real")?.mode == 0o755)
        }
    }

    @Test func removesLinksAndNotWhatTheyPointTo() throws {
        try withFolder { folder in
            try FileSystem.makeFolder("\(folder)/kept", mode: 0o755)
            try FileSystem.write("text", to: "\(folder)/kept/file", mode: 0o600)
            try FileSystem.makeFolder("\(folder)/removed/deep", mode: 0o755)
            symlink("\(folder)/kept", "\(folder)/removed/deep/link")
            try FileSystem.remove("\(folder)/removed")
            #expect(!FileSystem.exists("\(folder)/removed"))
            #expect(FileSystem.exists("\(folder)/kept/file"))
            try FileSystem.remove("\(folder)/removed")
        }
    }

    @Test(arguments: [(0o755, true), (0o711, true), (0o750, false), (0o700, false)] as [(UInt32, Bool)])
    func knowsWhereAStrangerCanPass(mode: UInt32, expected: Bool) throws {
        try withFolder { folder in
            try FileSystem.makeFolder("\(folder)/gate", mode: mode)
            let stranger = ProcessOwner(name: "stranger", user: 4_000_000, group: 4_000_000)
            #expect(FileSystem.isReachable("\(folder)/gate/file", by: stranger) == expected)
        }
    }

    @Test(.timeLimit(.minutes(1))) func waitsForNoPipe() throws {
        try withFolder { folder in
            #expect(mkfifo("\(folder)/pipe", 0o600) == 0)
            #expect(FileSystem.read("\(folder)/pipe", maxBytes: 10) == nil)
            #expect(FileSystem.read(folder, maxBytes: 10) == nil)
        }
    }

    @Test func readsNoMoreThanAsked() throws {
        try withFolder { folder in
            try FileSystem.write(String(repeating: "x", count: 100_000), to: "\(folder)/file", mode: 0o600)
            #expect(FileSystem.read("\(folder)/file", maxBytes: 70_000)?.utf8.count == 70_000)
            #expect(FileSystem.read("\(folder)/none", maxBytes: 10) == nil)
        }
    }
}
