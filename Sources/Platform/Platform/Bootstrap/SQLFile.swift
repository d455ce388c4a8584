// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// A file of SQL of the project, read whole.
struct SQLFile: Sendable, Equatable {
    /// The longest file that is read, in bytes: it is held in memory while it runs.
    static let maxBytes = 256 << 20

    /// Where it lies, for messages and the history.
    var path: String
    var text: String

    /// - Throws: ``BootstrapError`` with `unreadableFile`: not there, too long, or not UTF-8.
    init(path: String, in folder: String) throws {
        func refuse(_ reason: String) -> BootstrapError { BootstrapError(.unreadableFile, "\(path): \(reason)") }

        self.path = path
        let descriptor = open(path.hasPrefix("/") ? path : "\(folder)/\(path)", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw refuse(String(cString: strerror(errno))) }
        defer { close(descriptor) }
        var content: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(descriptor, &chunk, chunk.count)
            if count == 0 { break }
            guard count > 0 else {
                if errno == EINTR { continue }
                throw refuse(String(cString: strerror(errno)))
            }
            content += chunk.prefix(count)
            if content.count > Self.maxBytes { throw refuse("longer than \(Self.maxBytes >> 20) MiB") }
        }
        guard let text = String(validating: content, as: UTF8.self) else { throw refuse("is not UTF-8") }
        self.text = text
    }

    /// The names in a folder in byte order; none when there is no such folder.
    ///
    /// - Throws: ``BootstrapError`` with `unreadableFile` when the folder is there and cannot be read.
    static func names(in folder: String) throws -> [String] {
        guard let handle = opendir(folder) else {
            if errno == ENOENT { return [] }
            throw BootstrapError(.unreadableFile, "\(folder): \(String(cString: strerror(errno)))")
        }
        defer { closedir(handle) }
        var names: [String] = []
        while let entry = readdir(handle) {
            names.append(
                withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                })
        }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    /// The files a shell pattern matches, in byte order.
    static func matches(of pattern: String) -> [String] {
        var found = glob_t()
        defer { globfree(&found) }
        guard glob(pattern, GLOB_NOSORT, nil, &found) == 0 else { return [] }
        var paths: [String] = []
        for index in 0..<Int(found.gl_pathc) {
            if let path = found.gl_pathv?[index] { paths.append(String(cString: path)) }
        }
        return paths.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }
}
