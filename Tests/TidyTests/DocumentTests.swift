// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// The pages in `docs/` and at the root.
@Suite struct DocumentTests {
    private var pages: [Repository.File] { Repository.files.filter { $0.extension == "md" } }

    @Test func linksLeadSomewhere() {
        for page in pages {
            for match in page.text.matches(of: #/\]\(([^)\s]+)\)/#) {
                let target = String(match.1)
                guard !target.contains("://"), !target.hasPrefix("mailto:") else { continue }
                let parts = target.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false).map(
                    String.init)
                let path =
                    parts[0].isEmpty ? page.path : (page.folder.isEmpty ? parts[0] : "\(page.folder)/\(parts[0])")
                #expect(Repository.exists(path), "\(page) links to \(target), which does not exist")
                if parts.count == 2, path.hasSuffix(".md") {
                    let anchors = Self.anchors(of: Repository.File(path: Self.normalise(path)))
                    #expect(anchors.contains(parts[1]), "\(page) links to \(target), and there is no such heading")
                }
            }
        }
    }

    @Test func filesNamedInCodeSpansOfThePagesExist() {
        let path = #/`((?:Sources|Tests|scripts|docs|Benchmarks)\/[\w.+\/-]+)`/#
        for page in pages where page.name != "CHANGELOG.md" {
            for match in page.text.matches(of: path) {
                #expect(Repository.exists(String(match.1)), "\(page) names \(match.1), which does not exist")
            }
        }
    }

    /// The anchors of a page's headings: lower case, spaces to hyphens, other signs dropped.
    private static func anchors(of page: Repository.File) -> Set<String> {
        Set(
            page.lines.filter { $0.text.hasPrefix("#") }.map { line in
                line.text.drop { $0 == "#" || $0 == " " }.lowercased()
                    .compactMap {
                        $0 == " " ? "-" : $0.isLetter || $0.isNumber || $0 == "-" || $0 == "_" ? String($0) : nil
                    }
                    .joined()
            })
    }

    private static func normalise(_ path: String) -> String {
        path.split(separator: "/").reduce(into: [Substring]()) { parts, part in
            if part == ".." { parts = parts.dropLast() } else if part != "." { parts.append(part) }
        }.joined(separator: "/")
    }
}
