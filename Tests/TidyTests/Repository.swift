// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The files of this repository, as the tidy tests see them.
enum Repository {
    /// The folder of Package.swift.
    static let root: String = {
        // Tests/TidyTests/Repository.swift
        let file = URL(fileURLWithPath: #filePath)
        return file.deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
    }()

    /// A file of the repository.
    struct File: Sendable, CustomStringConvertible {
        /// Relative to the root.
        let path: String

        var name: String { String(path[(path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex)...]) }
        var folder: String { path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "" }
        var `extension`: String { name.contains(".") ? String(name.split(separator: ".").last ?? "") : "" }
        var description: String { path }

        var text: String {
            (try? String(contentsOfFile: "\(Repository.root)/\(path)", encoding: .utf8)) ?? ""
        }

        /// Lines with their numbers, from 1.
        var lines: [(number: Int, text: Substring)] {
            text.split(separator: "\n", omittingEmptySubsequences: false).enumerated().map {
                ($0.offset + 1, $0.element)
            }
        }
    }

    /// Every file that is not built, downloaded or hidden from git.
    static let files: [File] =
        ["Sources", "Tests", "scripts", "docs", "Benchmarks", "Fuzz", ".ci"].flatMap { files(in: $0) }
        + ["Package.swift", "Makefile", "README.md", "CHANGELOG.md"].filter { exists($0) }.map { File(path: $0) }

    static func files(in folder: String, extension: String) -> [File] {
        files.filter { $0.path.hasPrefix("\(folder)/") && $0.extension == `extension` }
    }

    static func exists(_ path: String) -> Bool {
        FileManager.default.fileExists(atPath: "\(root)/\(path)")
    }

    static func folders(in folder: String) -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "\(root)/\(folder)")) ?? []
        return names.sorted().filter { name in
            var isFolder: ObjCBool = false
            let found = FileManager.default.fileExists(atPath: "\(root)/\(folder)/\(name)", isDirectory: &isFolder)
            return found && isFolder.boolValue && !name.hasPrefix(".") && name != "__pycache__"
        }
    }

    private static func files(in folder: String) -> [File] {
        let walk = FileManager.default.enumerator(atPath: "\(root)/\(folder)")
        return (walk?.allObjects as? [String] ?? []).sorted().compactMap { name in
            let path = "\(folder)/\(name)"
            var isFolder: ObjCBool = false
            let found = FileManager.default.fileExists(atPath: "\(root)/\(path)", isDirectory: &isFolder)
            let isGenerated = path.contains("__pycache__") || path.contains("/.pytest_cache/")
            return !found || isFolder.boolValue || isGenerated ? nil : File(path: path)
        }
    }
}
