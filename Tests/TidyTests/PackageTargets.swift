// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The targets that Package.swift declares, in its order.
struct PackageTargets {
    struct Target {
        var name: String
        /// The folder below Sources: "Core"; or the folder at the root: "Tests", "Benchmarks", "Fuzz".
        var layer: String
        /// Where its sources are.
        var folder: String
        var dependencies: [String]
        /// The position in the file; a target may use earlier ones alone.
        var order: Int
    }

    /// From the bottom up.
    static let layers = ["System", "Core", "Platform", "Services", "Apps", "Product", "Benchmarks", "Fuzz", "Tests"]

    private(set) var targets: [String: Target] = [:]

    /// Reads the declarations as they are written here: `library("Core", "HTTP", ["Primitives"])` and so on.
    init(packageText text: String) {
        let call = #/(?<kind>library|system|tests|\.target|\.executableTarget)\s*\(/#
        for match in text.matches(of: call) {
            let body = Self.arguments(of: text[match.range.upperBound...])
            let strings = body.matches(of: #/"([^"]*)"/#).map { String($0.1) }
            let named = body.firstMatch(of: #/name:\s*"([^"]*)"/#).map { String($0.1) }
            let path = body.firstMatch(of: #/path:\s*"([^"]*)"/#).map { String($0.1) }
            let listed = Self.listedDependencies(body)
            switch match.kind {
            case "library" where strings.count >= 2:
                add(strings[1], layer: strings[0], folder: "Sources/\(strings[0])/\(strings[1])", listed)
            case "system" where !strings.isEmpty:
                add(strings[0], layer: "System", folder: "Sources/System/\(strings[0])", [])
            case "tests" where !strings.isEmpty: add(strings[0], layer: "Tests", folder: "Tests/\(strings[0])", listed)
            case ".target", ".executableTarget":
                guard let named, let path else { continue }
                let parts = path.split(separator: "/").map(String.init)
                add(
                    named, layer: parts.first == "Sources" && parts.count > 1 ? parts[1] : parts.first ?? "",
                    folder: path, listed)
            default: continue
            }
        }
    }

    /// The rank of a target's layer: a target imports ranks up to its own.
    func rank(_ name: String) -> Int {
        targets[name].flatMap { Self.layers.firstIndex(of: $0.layer) } ?? -1
    }

    private mutating func add(_ name: String, layer: String, folder: String, _ dependencies: [String]) {
        // The declarations of the helper functions themselves hold placeholders.
        guard !name.contains("\\"), !layer.contains("\\") else { return }
        targets[name] = Target(
            name: name, layer: layer, folder: folder, dependencies: dependencies, order: targets.count)
    }

    /// The text up to the parenthesis that closes the call.
    private static func arguments(of rest: Substring) -> Substring {
        var depth = 1
        for index in rest.indices {
            if rest[index] == "(" { depth += 1 }
            if rest[index] == ")" { depth -= 1 }
            if depth == 0 { return rest[..<index] }
        }
        return rest
    }

    /// The names in `dependencies: [...]`, or else in the first list.
    private static func listedDependencies(_ body: Substring) -> [String] {
        let labelled = body.firstMatch(of: #/dependencies:\s*\[([^\]]*)\]/#).map { $0.1 }
        let first = body.contains("path:") ? nil : body.firstMatch(of: #/\[([^\]]*)\]/#).map { $0.1 }
        return (labelled ?? first ?? "").matches(of: #/"([^"]*)"/#).map { String($0.1) }
    }
}
