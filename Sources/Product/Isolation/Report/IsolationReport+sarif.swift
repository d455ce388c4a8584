// SPDX-License-Identifier: Apache-2.0
internal import Primitives

extension IsolationReport {
    /// SARIF 2.1.0 (OASIS): each lint a rule, crossings one rule of their own, what could not be tried a notification.
    func sarif(_ sources: SchemaSources) -> JSON {
        let rules = Lint.all.map(Self.rule) + [Self.crossingRule]
        let places = Dictionary(
            (rules.enumerated().map { ($1["id"]?.stringValue ?? "", $0) })
        ) { first, _ in first }
        var results = findings.map { finding in
            Self.result(
                rule: finding.lint.id, places, level: Self.level(finding.level), text: finding.occurrence.detail,
                object: "\(finding.occurrence.schema).\(finding.occurrence.name)", key: finding.cacheKey, sources)
        }
        var seen: Set<String> = []
        for leak in leaks {
            let key = "\(leak.channel)_\(leak.object)_\(leak.action.rawValue)_\(leak.caller.rawValue)"
            // The same crossing by several requests is one result.
            guard seen.insert(key).inserted else { continue }
            results.append(
                Self.result(
                    rule: Self.crossingID, places, level: "error",
                    text:
                        "\(leak.channel) \(leak.object): \(leak.action.rawValue) by \(leak.caller.rawValue). \(leak.fix)\n\(leak.request)",
                    object: leak.object, key: key, sources))
        }
        let gaps =
            untried.map { crossing -> String in
                guard case .untried(let reason) = crossing.outcome else { return "" }
                return "\(crossing.channel) \(crossing.object), \(crossing.action.rawValue): not tried: \(reason)"
            } + unserved.map { "not served, so not tried: \($0)" } + notes
        let notifications = gaps.map { JSON.object(["level": "note", "message": ["text": .string($0)]]) }
        return [
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0",
            "runs": [
                [
                    "tool": ["driver": ["name": "atoll isolation check", "rules": .array(rules)]],
                    "automationDetails": ["id": "atoll/isolation/"],
                    "columnKind": "unicodeCodePoints",
                    "invocations": [
                        ["executionSuccessful": true, "toolExecutionNotifications": .array(notifications)]
                    ],
                    "results": .array(results),
                ]
            ],
        ]
    }

    private static let crossingID = "crossing"

    private static func rule(of lint: Lint) -> JSON {
        var properties: JSONObject = ["tags": .array([.string(lint.category.rawValue.lowercased())])]
        // By this number code scanning sorts security findings.
        if lint.category == .security {
            properties["security-severity"] =
                switch lint.level {
                case .error: "8.0"
                case .warning: "5.0"
                case .info: "2.0"
                }
        }
        return [
            "id": .string(lint.id), "name": .string(lint.name), "shortDescription": ["text": .string(lint.title)],
            "fullDescription": ["text": .string(lint.description)], "help": ["text": .string(lint.remediation)],
            "defaultConfiguration": ["level": .string(level(lint.level))], "properties": .object(properties),
        ]
    }

    private static let crossingRule: JSON = [
        "id": .string(crossingID), "name": "tenant_crossing",
        "shortDescription": ["text": "One tenant reached another's data"],
        "fullDescription": ["text": "A probe read, changed or called what belongs to another tenant."],
        "help": ["text": "Send the request of the message again, mend what it names, and run the check once more."],
        "defaultConfiguration": ["level": "error"],
        "properties": ["tags": ["security"], "security-severity": "9.0"],
    ]

    private static func result(
        rule: String, _ places: [String: Int], level: String, text: String, object: String, key: String,
        _ sources: SchemaSources
    ) -> JSON {
        let place = sources.place(of: object)
        return [
            "ruleId": .string(rule), "ruleIndex": .number("\(places[rule] ?? 0)"), "level": .string(level),
            "message": ["text": .string(text)],
            "locations": [
                [
                    "physicalLocation": [
                        "artifactLocation": ["uri": .string(uri(place.file)), "uriBaseId": "%SRCROOT%"],
                        "region": ["startLine": .number("\(place.line)")],
                    ],
                    "logicalLocations": [["fullyQualifiedName": .string(object)]],
                ]
            ],
            "partialFingerprints": ["object/v1": .string(key)],
        ]
    }

    /// A path as a relative reference (RFC 3986).
    private static func uri(_ path: String) -> String {
        path.split(separator: "/").map { encoded(String($0)) }.joined(separator: "/")
    }

    private static func level(_ level: Finding.Level) -> String {
        switch level {
        case .error: "error"
        case .warning: "warning"
        case .info: "note"
        }
    }
}
