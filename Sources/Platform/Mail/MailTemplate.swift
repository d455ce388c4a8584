// SPDX-License-Identifier: Apache-2.0
package import Primitives

/// A text with placeholders in the language of Go's templates, which mail templates of Supabase projects are written in.
///
/// Understood are fields (`.Email`, `.Data.name`), variables, `if`, `else if`, `else`, `with`, `range`, `break`, `continue`, comments,
/// trim marks, pipelines, and the functions `and`, `or`, `not`, `eq`, `ne`, `lt`, `le`, `gt`, `ge`, `len`, `index`, `print`, `printf`, `println`,
/// `html`, `js`, `urlquery`. Not understood are `define`, `block` and `template`. What is not there renders as nothing.
package struct MailTemplate: Sendable {
    /// How values are written.
    package enum Escaping: Sendable {
        /// By where they stand in the HTML, as Go's `html/template` does: in text, in an attribute, in an address.
        case html
        /// As they are, for a subject line or a text message.
        case none
    }

    let nodes: [TemplateNode]

    /// - Throws: `invalidTemplate` with the line.
    package init(_ source: String) throws(MailError) {
        var parser = TemplateParser(source)
        nodes = try parser.parse()
    }

    /// Fills the placeholders in.
    ///
    /// - Parameters:
    ///   - data: what `.` is.
    ///   - maxBytes: the most text it may make, in bytes.
    /// - Throws: `templateTooLarge`; `invalidTemplate` for an operation that does not fit its values, such as `range` over a text.
    package func render(
        _ data: JSON, escaping: Escaping, maxBytes: Int = 1 << 20
    ) throws(MailError) -> String {
        var renderer = TemplateRenderer(root: data, escaping: escaping, maxBytes: maxBytes)
        return try renderer.render(nodes)
    }

    /// As ``render(_:escaping:maxBytes:)`` without escaping, as one line: line ends and other control characters become spaces.
    package func renderLine(_ data: JSON, maxBytes: Int = 4096) throws(MailError) -> String {
        let text = try render(data, escaping: .none, maxBytes: maxBytes)
        var line = String.UnicodeScalarView()
        for scalar in text.unicodeScalars { line.append(HeaderText.isControl(scalar) ? " " : scalar) }
        return String(line).split(separator: " ").joined(separator: " ")
    }
}

/// A piece of a template.
indirect enum TemplateNode: Sendable {
    case text(String)
    case output(TemplatePipeline)
    /// `$name := pipeline`, or `$name = pipeline` when it `isNew` is false.
    case assign(name: String, isNew: Bool, TemplatePipeline)
    /// `if`, its `else if`s, and `else`; the last has no condition.
    case conditional([TemplateBranch])
    case range(key: String?, element: String?, TemplatePipeline, body: [TemplateNode], otherwise: [TemplateNode])
    case with(variable: String?, TemplatePipeline, body: [TemplateNode], otherwise: [TemplateNode])
    case breakLoop
    case continueLoop
}

struct TemplateBranch: Sendable {
    var variable: String?
    var condition: TemplatePipeline?
    var body: [TemplateNode]
}

/// Commands, each of which gets the value of the one before as its last argument.
struct TemplatePipeline: Sendable {
    var commands: [[TemplateOperand]]
    var line: Int
}

indirect enum TemplateOperand: Sendable {
    case literal(JSON)
    /// `.`, or `.A.B`.
    case field([String])
    /// `$`, `$name`, or `$name.A.B`; the root's name is empty.
    case variable(String, [String])
    case function(String)
    case pipeline(TemplatePipeline, [String])
}
