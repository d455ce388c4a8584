// SPDX-License-Identifier: Apache-2.0
internal import Glibc
package import Primitives
internal import Processes
internal import Synchronization

/// A real SMTP server, which keeps what it takes; `Tests/clients/servers/mail_server.py` says what it refuses.
package final class TestMailServer: Sendable {
    package enum Protection: String, Sendable {
        case none
        case startTLS = "starttls"
        case implicit
    }

    /// On 127.0.0.1.
    package let port: Int
    /// A certificate for 127.0.0.1, and its own authority.
    package let certificatePath: String
    package let keyPath: String
    private let folder: String
    private let process: ChildProcess
    private static let lastNumber = Atomic<Int>(0)

    /// Whether `scripts/setup --test` has made the Python environment that the server runs in.
    package static var isAvailable: Bool { FileSystem.exists(interpreter) }
    private static let interpreter = ".tools/python/bin/python"

    /// Lends a started server and ends it afterwards.
    ///
    /// - Parameter login: `user:password` that it demands; nil for none.
    package static func with<R>(
        _ protection: Protection = .none, login: String? = nil, _ body: (TestMailServer) async throws -> R
    ) async throws -> R {
        let server = try await TestMailServer(protection, login: login)
        let result: Result<R, any Error>
        do { result = .success(try await body(server)) } catch { result = .failure(error) }
        server.process.signal(SIGKILL)
        _ = try await onThread { server.process.wait(timeout: .seconds(10)) }
        try FileSystem.remove(server.folder)
        return try result.get()
    }

    private init(_ protection: Protection, login: String?) async throws {
        let folder = "/tmp/atoll-mail-\(getpid())-\(Self.lastNumber.add(1, ordering: .relaxed).newValue)"
        self.folder = folder
        try FileSystem.remove(folder)
        try FileSystem.makeFolder(folder, mode: 0o755)
        var arguments = ["Tests/clients/servers/mail_server.py", folder, "--tls", protection.rawValue]
        if let login { arguments += ["--login", login] }
        let log = open("\(folder)/log", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        defer { close(log) }
        var invocation = ProgramInvocation(
            Self.interpreter, arguments, environment: ["PATH": "/usr/bin:/bin"])
        invocation.output = .descriptor(log)
        invocation.errors = .descriptor(log)
        let process = try ChildProcess.start(invocation)
        self.process = process
        do {
            try await eventually("the mail server listens") {
                FileSystem.exists("\(folder)/ready.json") || process.reap() != nil
            }
            let facts = try JSON(parsing: FileSystem.read("\(folder)/ready.json", maxBytes: 4096) ?? "")
            port = facts["port"]?.intValue ?? 0
            certificatePath = facts["certificate"]?.stringValue ?? ""
            keyPath = facts["key"]?.stringValue ?? ""
        } catch {
            process.signal(SIGKILL)
            _ = process.reap()
            let text = FileSystem.read("\(folder)/log", maxBytes: 65536) ?? ""
            throw AtollProcessError(description: "no mail server: \(error)\n\(text)")
        }
    }

    /// What it took, in order: `from`, `to`, `data`, `tls`, `authenticated`.
    package var mails: [JSON] {
        var mails: [JSON] = []
        while let text = FileSystem.read("\(folder)/mail-\(mails.count + 1).json", maxBytes: 1 << 20),
            let mail = try? JSON(parsing: text)
        {
            mails.append(mail)
        }
        return mails
    }
}
