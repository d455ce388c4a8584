// SPDX-License-Identifier: Apache-2.0
import Postgres

/// A second factor: a row of `auth.mfa_factors`.
enum MFAFactor {
    /// The wire form of a row of `auth.mfa_factors` as `f`: never its secret.
    static let json: PostgresQuery = """
        json_build_object(
            'id', f.id, 'created_at', f.created_at, 'updated_at', f.updated_at, 'status', f.status,
            'friendly_name', nullif(f.friendly_name, ''), 'factor_type', f.factor_type, 'phone', f.phone,
            'last_challenged_at', f.last_challenged_at, 'web_authn_aaguid', f.web_authn_aaguid,
            'last_webauthn_challenge_data', f.last_webauthn_challenge_data
        )
        """
}
