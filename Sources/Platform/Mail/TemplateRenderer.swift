// SPDX-License-Identifier: Apache-2.0
internal import Primitives

/// Runs a template over its data.
struct TemplateRenderer {
    private enum Flow {
        case onward
        case breaksLoop
        case continuesLoop
    }

    private let root: JSON
    private let escaping: MailTemplate.Escaping
    private let maxBytes: Int
    private var output = ""
    private var context = HTMLContext()
    private var variables: [[String: JSON]] = [[:]]
    /// Nodes run: loops over a user's own data must end soon even when they write nothing.
    private var steps = 0

    private static let maxSteps = 100_000

    init(root: JSON, escaping: MailTemplate.Escaping, maxBytes: Int) {
        self.root = root
        self.escaping = escaping
        self.maxBytes = maxBytes
        variables[0][""] = root
    }

    mutating func render(_ nodes: [TemplateNode]) throws(MailError) -> String {
        _ = try run(nodes, dot: root)
        return output
    }

    // MARK: Nodes

    private mutating func run(_ nodes: [TemplateNode], dot: JSON) throws(MailError) -> Flow {
        for node in nodes {
            steps += 1
            guard steps <= Self.maxSteps else { throw .templateTooLarge }
            let flow = try run(node, dot)
            if flow != .onward { return flow }
        }
        return .onward
    }

    private mutating func run(_ node: TemplateNode, _ dot: JSON) throws(MailError) -> Flow {
        switch node {
        case .text(let text):
            if escaping == .html { context.follow(text) }
            try write(text)
        case .output(let pipeline):
            let text = try evaluate(pipeline, dot).templateText
            try write(escaping == .html ? context.escape(text) : text)
        case .assign(let name, let isNew, let pipeline):
            assign(name, try evaluate(pipeline, dot), isNew: isNew)
        case .conditional(let branches): return try runFirst(of: branches, dot)
        case .with(let variable, let pipeline, let body, let otherwise):
            let value = try evaluate(pipeline, dot)
            let isTrue = value.isTrueInTemplate
            return try run(
                isTrue ? body : otherwise, dot: isTrue ? value : dot, with: variable.map { [$0: value] } ?? [:])
        case .range(let key, let element, let pipeline, let body, let otherwise):
            let entries = try entries(of: try evaluate(pipeline, dot), line: pipeline.line)
            if entries.isEmpty { return try run(otherwise, dot: dot, with: [:]) }
            for entry in entries {
                var names: [String: JSON] = [:]
                if let key { names[key] = entry.key }
                if let element { names[element] = entry.value }
                steps += 1
                if try run(body, dot: entry.value, with: names) == .breaksLoop { break }
            }
        case .breakLoop: return .breaksLoop
        case .continueLoop: return .continuesLoop
        }
        return .onward
    }

    private mutating func run(
        _ nodes: [TemplateNode], dot: JSON, with names: [String: JSON]
    ) throws(MailError) -> Flow {
        variables.append(names)
        defer { variables.removeLast() }
        return try run(nodes, dot: dot)
    }

    private mutating func runFirst(of branches: [TemplateBranch], _ dot: JSON) throws(MailError) -> Flow {
        variables.append([:])
        defer { variables.removeLast() }
        for branch in branches {
            guard let condition = branch.condition else { return try run(branch.body, dot: dot) }
            let value = try evaluate(condition, dot)
            if let variable = branch.variable { assign(variable, value, isNew: true) }
            if value.isTrueInTemplate { return try run(branch.body, dot: dot) }
        }
        return .onward
    }

    private func entries(of value: JSON, line: Int) throws(MailError) -> [(key: JSON, value: JSON)] {
        switch value {
        case .array(let values): return values.enumerated().map { (JSON($0.offset), $0.element) }
        // Go walks a map in the order of its keys.
        case .object(let members):
            return members.map { ($0.name, $0.value) }.sorted { $0.0 < $1.0 }.map { (.string($0.0), $0.1) }
        case .null: return []
        case .number, .string, .bool: throw .invalidTemplate(line: line, reason: "range over what is no list")
        }
    }

    private mutating func assign(_ name: String, _ value: JSON, isNew: Bool) {
        let index = isNew ? nil : variables.lastIndex { $0[name] != nil }
        variables[index ?? variables.count - 1][name] = value
    }

    private mutating func write(_ text: String) throws(MailError) {
        output += text
        guard output.utf8.count <= maxBytes else { throw .templateTooLarge }
    }

    // MARK: Values

    private func evaluate(_ pipeline: TemplatePipeline, _ dot: JSON) throws(MailError) -> JSON {
        var value: JSON?
        for command in pipeline.commands {
            var arguments: [JSON] = []
            var function: String?
            for (index, operand) in command.enumerated() {
                if index == 0, case .function(let name) = operand {
                    function = name
                } else {
                    arguments.append(try evaluate(operand, dot, pipeline.line))
                }
            }
            if let value { arguments.append(value) }
            if let function {
                value = try TemplateFunction.call(function, arguments, line: pipeline.line)
            } else {
                value = arguments.first
            }
        }
        return value ?? .null
    }

    private func evaluate(_ operand: TemplateOperand, _ dot: JSON, _ line: Int) throws(MailError) -> JSON {
        switch operand {
        case .literal(let value): return value
        case .field(let names): return Self.member(names, of: dot)
        case .variable(let name, let names):
            let value = variables.last { $0[name] != nil }?[name] ?? .null
            return Self.member(names, of: value)
        case .pipeline(let pipeline, let names): return Self.member(names, of: try evaluate(pipeline, dot))
        case .function(let name): return try TemplateFunction.call(name, [], line: line)
        }
    }

    private static func member(_ names: [String], of value: JSON) -> JSON {
        names.reduce(value) { $0[$1] ?? .null }
    }
}

extension JSON {
    /// Go's notion of truth: everything but false, zero, nothing and what is empty.
    var isTrueInTemplate: Bool {
        switch self {
        case .null: false
        case .bool(let value): value
        case .number: doubleValue != 0
        case .string(let text): !text.isEmpty
        case .array(let values): !values.isEmpty
        case .object(let members): !members.isEmpty
        }
    }

    /// As Go prints a value; nothing for what is not there.
    var templateText: String {
        switch self {
        case .null: return ""
        case .bool(let value): return value ? "true" : "false"
        case .number(let text): return text
        case .string(let text): return text
        case .array(let values): return "[" + values.map(\.templateText).joined(separator: " ") + "]"
        case .object(let members):
            let entries = members.map { ($0.name, $0.value) }.sorted { $0.0 < $1.0 }
            return "map[" + entries.map { "\($0.0):\($0.1.templateText)" }.joined(separator: " ") + "]"
        }
    }
}
