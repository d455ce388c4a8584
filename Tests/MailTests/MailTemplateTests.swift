// SPDX-License-Identifier: Apache-2.0
import Mail
import Primitives
import Testing

@Suite("Mail templates")
struct MailTemplateTests {
    static let data: JSON = [
        "Token": "123456", "SiteURL": "https://example.com", "Email": "a@example.com", "Count": 3, "Empty": "",
        "ConfirmationURL": "https://api.example.com/verify?token=abc&type=signup",
        "RedirectTo": "https://example.com/a b?x=1&y=2", "App": "myapp://back", "Script": "javascript:alert(1)",
        "Data": [
            "name": "<b>O'Hara & \"Sons\"</b>", "roles": ["admin", "editor"], "nested": ["city": "Graz"], "on": true,
            "line": "one\r\nBcc: thief@example.com",
        ],
    ]

    struct Case: Sendable, CustomTestStringConvertible {
        var source: String
        var result: String
        var testDescription: String { source }

        init(_ source: String, _ result: String) {
            self.source = source
            self.result = result
        }
    }

    static let cases = [
        Case("plain <b>text</b> }}", "plain <b>text</b> }}"),
        Case("{{ .Token }}", "123456"),
        Case("{{.Token}}-{{ .Missing }}-{{ .Data.missing.deeper }}", "123456--"),
        Case("{{ .Data.nested.city }}", "Graz"),
        Case("<p>{{ .Data.name }}</p>", "<p>&lt;b&gt;O&#39;Hara &amp; &#34;Sons&#34;&lt;/b&gt;</p>"),
        Case("<p title=\"{{ .Data.name }}\">", "<p title=\"&lt;b&gt;O&#39;Hara &amp; &#34;Sons&#34;&lt;/b&gt;\">"),
        Case("<p title={{ .Data.nested.city }}>", "<p title=Graz>"),
        Case("<p title={{ .RedirectTo }}>", "<p title=https://example.com/a&#32;b?x&#61;1&amp;y&#61;2>"),
        Case("<p {{ .Data.name }}>", "<p ZgotmplZ>"),
        Case("<!-- {{ .Token }} -->", "<!--  -->"),
        Case("<p onclick=\"go('{{ .Data.name }}')\">", "<p onclick=\"go('ZgotmplZ')\">"),
        Case("<p style=\"color: {{ .Data.nested.city }}\">", "<p style=\"color: Graz\">"),
        // Addresses: as a whole, behind a path, in a query.
        Case(
            "<a href=\"{{ .ConfirmationURL }}\">",
            "<a href=\"https://api.example.com/verify?token=abc&amp;type=signup\">"),
        Case(
            "<a href='{{ .SiteURL }}/auth?token={{ .Token }}&next={{ .RedirectTo }}'>",
            "<a href='https://example.com/auth?token=123456&next=https%3a%2f%2fexample.com%2fa%20b%3fx%3d1%26y%3d2'>"),
        Case("<a href=\"{{ .Script }}\">", "<a href=\"#ZgotmplZ\">"),
        Case("<a href=\"{{ .App }}\">", "<a href=\"myapp://back\">"),
        // Conditions.
        Case("{{ if .Data.name }}yes{{ else }}no{{ end }}", "yes"),
        Case("{{ if .Empty }}yes{{ else if eq .Count 3 }}three{{ else }}no{{ end }}", "three"),
        Case("{{ if and .Data.on (not .Missing) }}both{{ end }}", "both"),
        Case("{{ if or .Missing .Empty }}any{{ else }}none{{ end }}", "none"),
        Case("{{ if eq .Email \"a@example.com\" \"b@example.com\" }}one of{{ end }}", "one of"),
        Case("{{ if ne .Data.lang \"de\" }}en{{ end }}", "en"),
        Case("{{ if gt (len .Data.roles) 1 }}many{{ end }}", "many"),
        Case("{{ with .Data.nested }}{{ .city }}{{ $.Token }}{{ end }}", "Graz123456"),
        Case("{{ with .Missing }}x{{ else }}nothing{{ end }}", "nothing"),
        // Loops.
        Case("{{ range .Data.roles }}[{{ . }}]{{ end }}", "[admin][editor]"),
        Case("{{ range $i, $r := .Data.roles }}{{ if $i }}, {{ end }}{{ $r }}{{ end }}", "admin, editor"),
        Case("{{ range $k, $v := .Data.nested }}{{ $k }}={{ $v }}{{ end }}", "city=Graz"),
        Case("{{ range .Missing }}x{{ else }}empty{{ end }}", "empty"),
        Case("{{ range .Data.roles }}{{ . }}{{ break }}{{ end }}", "admin"),
        // Variables, pipelines, functions.
        Case("{{ $x := .Token }}{{ $x }}{{ $x = \"b\" }}{{ $x }}", "123456b"),
        Case("{{ .Token | printf \"%s!\" }}", "123456!"),
        Case("{{ index .Data \"name\" | len }}", "22"),
        Case("{{ index .Data.roles 1 }}", "editor"),
        Case("{{ .RedirectTo | urlquery }}", "https%3a%2f%2fexample.com%2fa%20b%3fx%3d1%26y%3d2"),
        Case("{{ print .Token \" \" .Count }}", "123456 3"),
        // Space and comments.
        Case("a  {{- .Token -}}  b", "a123456b"),
        Case("a {{/* a comment }} with braces */}}b", "a b"),
        Case("{{ \"}}\" }}", "}}"),
    ]

    @Test(arguments: cases)
    func renders(_ each: Case) throws {
        #expect(try MailTemplate(each.source).render(Self.data, escaping: .html) == each.result)
    }

    static let wrong = [
        "{{ .Token", "{{ if .A }}", "{{ end }}", "{{ else }}", "{{ if .A }}{{ else }}{{ else }}{{ end }}",
        "{{ unknown .A }}", "{{ $x }}", "{{ .A .B }}", "{{ template \"x\" }}", "{{ define \"x\" }}{{ end }}", "{{ }}",
        "{{ ( .A }}", "{{ .A ) }}", "{{ \"open }}", "{{ break }}", "{{ 1x }}", "{{ eq .A }} {{ | }}",
    ]

    @Test(arguments: wrong)
    func refuses(_ source: String) {
        #expect(throws: MailError.self) { try MailTemplate(source) }
    }

    @Test func namesTheLineOfAMistake() {
        #expect(throws: MailError.invalidTemplate(line: 3, reason: "unknown function nope")) {
            try MailTemplate("a\nb\n{{ nope }}")
        }
    }

    @Test func endsLoopsOverMuchData() throws {
        let many = JSON.array((0..<2000).map { JSON($0) })
        let template = try MailTemplate(
            "{{ range $a := .X }}{{ range $b := $.X }}{{ if eq $a -1 }}x{{ end }}{{ end }}{{ end }}")
        #expect(throws: MailError.templateTooLarge) { try template.render(["X": many], escaping: .html) }
        let text = try MailTemplate("{{ range .X }}{{ $.Y }}{{ end }}")
        let data: JSON = ["X": many, "Y": .string(String(repeating: "y", count: 2000))]
        #expect(throws: MailError.templateTooLarge) { try text.render(data, escaping: .html) }
    }

    @Test func aSubjectIsOneLineWithoutEscapes() throws {
        let template = try MailTemplate("Hello {{ .Data.line }} {{ .Data.name }}")
        #expect(
            try template.renderLine(Self.data)
                == "Hello one Bcc: thief@example.com <b>O'Hara & \"Sons\"</b>")
    }
}
