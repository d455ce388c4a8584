// SPDX-License-Identifier: Apache-2.0
import HTTP
import Mail
import Primitives

/// The catcher's pages. They run no script, and what a mail holds can neither run one nor load anything.
enum MailPage {
    private static let style = """
        body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1c2430; }
        table { width: 100%; border-collapse: collapse; }
        th, td { text-align: left; padding: .4rem .6rem; border-bottom: 1px solid #d9dee6; vertical-align: top; }
        .unread { font-weight: 600; }
        a { color: #1858a8; }
        iframe { width: 100%; height: 32rem; border: 1px solid #d9dee6; }
        pre { background: #f4f6f9; padding: 1rem; overflow: auto; white-space: pre-wrap; }
        """

    private static let list: String = """
        <h1>Mail</h1>
        {{ if .Mails }}<table>
        <thead><tr><th>To</th><th>Subject</th><th>Received</th></tr></thead>
        <tbody>{{ range .Mails }}<tr class="{{ if .Read }}read{{ else }}unread{{ end }}"><td>{{ .To }}</td>\
        <td><a href="/view/{{ .ID }}">{{ if .Subject }}{{ .Subject }}{{ else }}(no subject){{ end }}</a></td><td>{{ .At }}</td></tr>
        {{ end }}</tbody></table>{{ else }}<p>No mail has been caught yet.</p>{{ end }}
        """

    private static let view: String = """
        <p><a href="/">All mail</a></p>
        <h1>{{ .Subject }}</h1>
        <table><tbody><tr><th>From</th><td>{{ .From }}</td></tr><tr><th>To</th><td>{{ .To }}</td></tr>\
        <tr><th>Received</th><td>{{ .At }}</td></tr></tbody></table>
        {{ if .HTML }}<h2>HTML</h2><iframe sandbox="allow-popups allow-popups-to-escape-sandbox" src="/view/{{ .ID }}.html" title="HTML"></iframe>{{ end }}
        <h2>Text</h2><pre>{{ .Text }}</pre>
        <p><a href="/api/v1/message/{{ .ID }}/raw">Source</a></p>
        """

    static func list(_ mails: [CaughtMail]) -> HTTPResponse {
        let rows = mails.prefix(500).map { mail -> JSON in
            [
                "ID": .string(mail.id), "Read": .bool(mail.isRead), "Subject": .string(mail.content.subject),
                "To": .string(mail.recipients.joined(separator: ", ")), "At": .string(mail.receivedAt.mailDate),
            ]
        }
        return page("Mail", list, ["Mails": .array(Array(rows))])
    }

    static func view(_ mail: CaughtMail) -> HTTPResponse {
        page(
            mail.content.subject, view,
            [
                "ID": .string(mail.id), "Subject": .string(mail.content.subject),
                "HTML": .bool(!mail.content.html.isEmpty),
                "From": .string(mail.content.from.first?.text ?? mail.sender),
                "To": .string(mail.recipients.joined(separator: ", ")), "At": .string(mail.receivedAt.mailDate),
                "Text": .string(mail.content.text),
            ])
    }

    /// The mail's own HTML, which may show itself and open links, nothing else.
    static func content(_ mail: CaughtMail) -> HTTPResponse {
        secured(
            .html(#"<base target="_blank">"# + mail.content.html),
            policy:
                "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox allow-popups allow-popups-to-escape-sandbox"
        )
    }

    private static func page(_ title: String, _ body: String, _ data: JSONObject) -> HTTPResponse {
        let source = """
            <!doctype html>
            <html lang="en"><head><meta charset="utf-8"><title>{{ .Title }}</title><style>\(style)</style></head>
            <body>\(body)</body></html>

            """
        var data = data
        data["Title"] = .string(title)
        do throws(MailError) {
            let text = try MailTemplate(source).render(.object(data), escaping: .html, maxBytes: 16 << 20)
            return secured(
                .html(text), policy: "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'")
        } catch {
            return .text("\(error)", status: .internalServerError)
        }
    }

    private static func secured(_ response: HTTPResponse, policy: String) -> HTTPResponse {
        var response = response
        response.headers.append("Content-Security-Policy", policy)
        response.headers.append("X-Content-Type-Options", "nosniff")
        response.headers.append("Referrer-Policy", "no-referrer")
        response.headers.append("Cache-Control", "no-store")
        return response
    }
}
