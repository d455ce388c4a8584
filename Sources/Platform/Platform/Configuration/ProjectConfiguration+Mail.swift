// SPDX-License-Identifier: Apache-2.0

extension ProjectConfiguration.Atoll {
    /// `[atoll.mail]`
    package struct Mail: ConfigurationSection {
        package enum Security: String, Sendable, CaseIterable {
            case automatic = "auto"
            case tls
            case startTLS = "starttls"
            case opportunistic
            case plain
        }

        package var security = Security.automatic
        package var clientName = "localhost"
        package var certificateAuthorities: String?
        package var connectTimeout: Duration = .seconds(10)
        package var timeout: Duration = .seconds(60)
        package var concurrency = 4
        package var maxAttempts = 12
        package var firstRetryDelay: Duration = .seconds(5)
        package var maxRetryDelay: Duration = .seconds(3600)
        package var attemptLease: Duration = .seconds(120)
        package var deadRetention: Duration = .seconds(14 * 86_400)
        package var catcherHost = "127.0.0.1"
        package var maxCaught = 1000
        package var maxCaughtBytes = 64 << 20

        package init() {}

        private static let timeout = ConfigurationType.duration(.milliseconds(1)...(.seconds(86_400)))

        static var fields: [ConfigurationField<Mail>] {
            Field.key(
                "security", \.security, .choice,
                "How the connection to `[auth.email.smtp]` is protected. `auto` is TLS from the start on port 465, else `STARTTLS`, which a server on this machine may lack."
            )
            Field.key("client_name", \.clientName, .text, "What Atoll calls itself to the mail server (`EHLO`).")
            Field.optional(
                "certificate_authorities", \.certificateAuthorities, .text,
                "PEM file of the authorities the mail server's certificate may be from, relative to `supabase/`. Unset takes the system's."
            )
            Field.key("connect_timeout", \.connectTimeout, timeout, "How long connecting may take.")
            Field.key("timeout", \.timeout, timeout, "How long handing over one mail may take.")
            Field.key("concurrency", \.concurrency, .integer(1...100), "Mails handed over at a time.")
            Field.key(
                "max_attempts", \.maxAttempts, .integer(1...100),
                "Attempts at one mail; then it stands in `jobs.dead_jobs`.")
            Field.key(
                "first_retry_delay", \.firstRetryDelay, timeout,
                "The pause after the first failed attempt; it doubles each time.")
            Field.key("max_retry_delay", \.maxRetryDelay, timeout, "The longest such pause.")
            Field.key(
                "attempt_lease", \.attemptLease, timeout,
                "After this a mail whose sending was cut short is taken up again; longer than `timeout`.")
            Field.key("dead_retention", \.deadRetention, .duration(), "How long mails that were given up are kept.")
            Field.key(
                "catcher_host", \.catcherHost, .text,
                "The numeric address the mail catcher listens on. Whoever reaches it reads everybody's sign-in links.")
            Field.key("max_caught", \.maxCaught, .integer(1...100_000), "Mails the catcher keeps.")
            Field.key(
                "max_caught_size", \.maxCaughtBytes, .size((1 << 20)...(1 << 32)), "Memory they may take, about.")
        }
    }
}
