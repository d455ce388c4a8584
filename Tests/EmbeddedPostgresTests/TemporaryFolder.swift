// SPDX-License-Identifier: Apache-2.0
import Glibc
import Processes

/// Lends a new folder that is removed afterwards.
func withTemporaryFolder<R>(_ body: (String) throws -> R) throws -> R {
    let folder = try makeTemporaryFolder()
    defer { try? FileSystem.remove(folder) }
    return try body(folder)
}

/// A new folder that the caller removes; open for other users to pass through.
func makeTemporaryFolder() throws -> String {
    var template = Array("/tmp/atoll-embedded-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw FileSystemError("cannot make", "/tmp/atoll-embedded-XXXXXX") }
    let folder = template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } } ?? ""
    chmod(folder, 0o755)
    return folder
}
