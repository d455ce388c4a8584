// SPDX-License-Identifier: Apache-2.0
internal import HTTP

/// The parts of forms.
enum Form {
    /// What a form's fields hold, and what is wrong with them.
    struct State: Sendable {
        var values: [String: String] = [:]
        var errors: [String: Phrase] = [:]
        /// What is wrong with the form as a whole.
        var problem: Phrase?

        static let empty = State()
    }

    static func token(_ token: String) -> Markup {
        Markup(.input, .type("hidden"), .name(FormGuard.fieldName), .value(token))
    }

    static func hidden(_ name: String, _ value: String) -> Markup {
        Markup(.input, .type("hidden"), .name(name), .value(value))
    }

    /// How an input is filled in.
    struct Input: Sendable {
        var type = "text"
        var autocomplete = "off"
        var isRequired = true
        var minLength: Int?
        var maxLength = 254
        var takesFocus = false
        var pattern: String?
        var inputMode: String?
        var placeholder: Phrase?

        static let text = Input()
        static let email = Input(type: "email", autocomplete: "username")
        static let code = Input(
            autocomplete: "one-time-code", maxLength: 10, takesFocus: true, pattern: "[0-9 ]*", inputMode: "numeric")
        static let phone = Input(
            type: "tel", autocomplete: "tel", maxLength: 24, pattern: "[+]?[0-9 ()./\\-]{8,}", inputMode: "tel")
        static let currentPassword = Input(type: "password", autocomplete: "current-password", maxLength: 72)
        static func newPassword(_ minLength: Int) -> Input {
            Input(type: "password", autocomplete: "new-password", minLength: minLength, maxLength: 72)
        }
        static func optional(_ maxLength: Int, autocomplete: String = "off") -> Input {
            Input(autocomplete: autocomplete, isRequired: false, maxLength: maxLength)
        }

        func focused(_ isOn: Bool = true) -> Input {
            var copy = self
            copy.takesFocus = isOn
            return copy
        }
    }

    /// A labelled input with its hint, and the error beside it.
    ///
    /// - Parameter id: where one page has two fields of one name.
    static func field(
        _ name: String, _ label: Message, _ input: Input = .text, state: State = .empty, hint: Phrase? = nil,
        id: String? = nil
    ) -> Markup {
        let id = id ?? name
        var attributes: [Attribute] = [
            .id(id), .name(name), .type(input.type), .autocomplete(input.autocomplete), .required(input.isRequired),
            .maxlength(input.maxLength),
            .autofocus(input.takesFocus && state.errors.isEmpty || state.errors[name] != nil),
        ]
        // A password is never sent back.
        if input.type != "password" { attributes.append(.value(state.values[name] ?? "")) }
        if input.type == "text" { attributes.append(.directionOfText()) }
        if let length = input.minLength { attributes.append(.minlength(length)) }
        if let pattern = input.pattern { attributes.append(.pattern(pattern)) }
        if let mode = input.inputMode { attributes.append(.inputmode(mode)) }
        if let placeholder = input.placeholder { attributes.append(.placeholder(placeholder)) }
        attributes += description(id, hint: hint, error: state.errors[name])
        return labelled(id, label, .element(.input, attributes, []), hint: hint, error: state.errors[name])
    }

    static func area(
        _ name: String, _ label: Message, rows: Int = 8, maxLength: Int = 65_536, state: State = .empty,
        hint: Phrase? = nil, id: String? = nil
    ) -> Markup {
        let id = id ?? name
        let attributes: [Attribute] =
            [
                .id(id), .name(name), .rows(rows), .maxlength(maxLength), .spellcheck(false),
                .directionOfText(), .autofocus(state.errors[name] != nil), .hook("submit-with-control"),
            ] + description(id, hint: hint, error: state.errors[name])
        // Browsers drop a line break right behind the start tag.
        let content = Markup.data("\n" + (state.values[name] ?? ""))
        return labelled(
            id, label, .element(.textarea, attributes, [content]), hint: hint, error: state.errors[name])
    }

    static func select(
        _ name: String, _ label: Message, options: [(value: String, label: Phrase)], state: State = .empty,
        hint: Phrase? = nil, id: String? = nil
    ) -> Markup {
        let id = id ?? name
        let attributes: [Attribute] =
            [.id(id), .name(name)] + description(id, hint: hint, error: state.errors[name])
        let content = options.map { option in
            Markup(.option, .value(option.value), .selected(state.values[name] == option.value)) {
                Markup.text(option.label)
            }
        }
        return labelled(id, label, .element(.select, attributes, content), hint: hint, error: state.errors[name])
    }

    static func checkbox(_ name: String, _ label: Message, isOn: Bool = false, id: String? = nil) -> Markup {
        let id = id ?? name
        return Markup(.div, .class("field check")) {
            Markup(.input, .id(id), .name(name), .type("checkbox"), .value("on"), .checked(isOn))
            Markup(.label, .for(id), text: label)
        }
    }

    /// One choice of several, with a sentence on what it means.
    static func radio(_ name: String, _ value: String, _ label: Message, _ text: Message, isOn: Bool) -> Markup {
        let id = "\(name)-\(value)"
        return Markup(.div, .class("field choice")) {
            Markup(
                .input, .id(id), .name(name), .type("radio"), .value(value), .checked(isOn),
                .aria("describedby", "\(id)-hint"))
            Markup(.div) {
                Markup(.label, .for(id), text: label)
                Markup(.p, .id("\(id)-hint"), .class("hint"), text: text)
            }
        }
    }

    private static func description(_ id: String, hint: Phrase?, error: Phrase?) -> [Attribute] {
        let described = [hint == nil ? nil : "\(id)-hint", error == nil ? nil : "\(id)-error"].compactMap { $0 }
        var attributes: [Attribute] = []
        if !described.isEmpty { attributes.append(.aria("describedby", described.joined(separator: " "))) }
        if error != nil { attributes.append(.aria("invalid", "true")) }
        return attributes
    }

    private static func labelled(
        _ id: String, _ label: Message, _ control: Markup, hint: Phrase?, error: Phrase?
    ) -> Markup {
        Markup(.div, .class("field")) {
            Markup(.label, .for(id), text: label)
            control
            if let hint { Markup(.p, .id("\(id)-hint"), .class("hint")) { Markup.text(hint) } }
            if let error { Markup(.p, .id("\(id)-error"), .class("error")) { Markup.text(error) } }
        }
    }

    private static func form(_ attributes: [Attribute], @MarkupBuilder content: () -> Markup) -> Markup {
        .element(.form, attributes, [content()])
    }

    static func button(_ label: Message, _ kind: String = "primary") -> Markup {
        Markup(.button, .type("submit"), .class(kind), text: label)
    }

    /// A button that is a whole form, with what it sends.
    ///
    /// - Parameter question: about `name`, which is asked before it is sent, where scripts run.
    static func action(
        _ path: String, _ label: Message, _ kind: String = "quiet", token: String, about name: String? = nil,
        asks question: Message? = nil, _ values: (String, String)...
    ) -> Markup {
        let question = question.map { [Attribute.hook("asks", .of($0, name ?? ""))] } ?? []
        return form([.method("post"), .action(path), .class("inline")] + question) {
            Form.token(token)
            for value in values { hidden(value.0, value.1) }
            if let name {
                // The name after the label, so that what is heard begins with what is seen (WCAG 2.5.3).
                Markup(.button, .type("submit"), .class(kind)) {
                    Markup.text(label)
                    Markup(.span, .class("unseen"), data: " \(name)")
                }
            } else {
                button(label, kind)
            }
        }
    }
}
