// SPDX-License-Identifier: Apache-2.0
import Glibc
import Primitives
import Processes
import TestSupport
import Testing

/// The built program in a folder of its own.
struct CommandLineProgram {
    let folder: String

    /// Lends a new folder and removes it, and stops a server that was left in it.
    static func inFolder(_ body: (CommandLineProgram) throws -> Void) throws {
        let program = CommandLineProgram(folder: "/tmp/atoll-cli-\(UUID.random())")
        try FileSystem.makeFolder(program.folder, mode: 0o755)
        defer {
            _ = try? program.run(["stop", "--force"])
            try? FileSystem.remove(program.folder)
        }
        try body(program)
    }

    struct Result {
        let code: Int32?
        let output: String
        let errors: String
    }

    func run(_ arguments: [String], environment: [String: String] = [:]) throws -> Result {
        let paths = (output: "\(folder)/.output", errors: "\(folder)/.errors")
        let descriptors = [paths.output, paths.errors].map { (path: String) in
            open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        }
        defer { descriptors.forEach { close($0) } }
        var invocation = ProgramInvocation(
            try AtollProcess.program(), arguments,
            environment: environment.merging(["PATH": "/usr/bin:/bin", "HOME": folder]) { mine, _ in mine },
            folder: folder)
        invocation.output = .descriptor(descriptors[0])
        invocation.errors = .descriptor(descriptors[1])
        let process = try ChildProcess.start(invocation)
        let status = process.wait(timeout: .seconds(120))
        if status == nil { _ = process.stop([(SIGKILL, .seconds(5))]) }
        let code: Int32? = if case .exited(let code)? = status { code } else { nil }
        return Result(
            code: code, output: FileSystem.read(paths.output, maxBytes: 1 << 20) ?? "",
            errors: FileSystem.read(paths.errors, maxBytes: 1 << 20) ?? "")
    }

    func write(_ text: String, to file: String) throws {
        if let slash = file.lastIndex(of: "/") {
            try FileSystem.makeFolder("\(folder)/\(file[..<slash])", mode: 0o755)
        }
        try FileSystem.write(text, to: "\(folder)/\(file)", mode: 0o644)
    }

    func read(_ file: String) -> String? { FileSystem.read("\(folder)/\(file)", maxBytes: 1 << 20) }

    /// The repository's root.
    static var root: String { #filePath.split(separator: "/").dropLast(4).reduce(into: "") { $0 += "/\($1)" } }

}
