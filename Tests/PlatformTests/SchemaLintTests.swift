// SPDX-License-Identifier: Apache-2.0
import Platform
import PlatformTestSupport
import TestSupport
import Testing

/// The lints that people run on their own schemas find nothing in the platform's: each query lists what it finds.
@Suite struct SchemaLintTests {
    static let schemas = "('auth', 'storage', 'realtime', 'tenancy', 'atoll', 'jobs', 'vectors')"

    @Test(
        arguments: [
            "row level security is on and forced on every table of tenancy": """
            select c.relname from pg_class c
            where c.relnamespace = 'tenancy'::regnamespace and c.relkind in ('r', 'p')
                and not (c.relrowsecurity and c.relforcerowsecurity)
            """,
            "row level security is on for every table of auth and storage": """
            select c.relname from pg_class c
            where c.relnamespace in ('auth'::regnamespace, 'storage'::regnamespace) and c.relkind in ('r', 'p')
                and not c.relrowsecurity
            """,
            "every table of tenancy has a policy": """
            select c.relname from pg_class c
            where c.relnamespace = 'tenancy'::regnamespace and c.relkind = 'r'
                and not exists (select from pg_policy p where p.polrelid = c.oid)
            """,
            "foreign keys are indexed": """
            select k.conrelid::regclass, k.conname from pg_constraint k
            where k.contype = 'f' and k.connamespace::regnamespace::text in \(schemas)
                and not exists (
                    select from pg_index i
                    where i.indrelid = k.conrelid
                        and (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey)
            """,
            "every table has a primary key": """
            select c.oid::regclass from pg_class c
            where c.relkind in ('r', 'p') and c.relnamespace::regnamespace::text in \(schemas)
                and not exists (select from pg_constraint k where k.conrelid = c.oid and k.contype = 'p')
            """,
            "no policy calls a function for every row": """
            select p.polrelid::regclass, p.polname
            from pg_policy p,
                lateral (values (pg_get_expr(p.polqual, p.polrelid)), (pg_get_expr(p.polwithcheck, p.polrelid))) e (text)
            where regexp_replace(e.text, '\\( SELECT (auth|tenancy)\\.[a-z_]+\\(\\)', '', 'g')
                ~ '(auth\\.|tenancy\\.[a-z_]+\\(|current_setting)'
            """,
            "one permissive policy a table, role and action": """
            select p.polrelid::regclass, r.role::regrole, a.action
            from pg_policy p, unnest(p.polroles) r (role), unnest(array['r', 'a', 'w', 'd']) a (action)
            where p.polpermissive and p.polcmd in (a.action::"char", '*')
            group by 1, 2, 3 having count(*) > 1
            """,
            "no policy for API roles lets everything be written": """
            select p.polrelid::regclass, p.polname from pg_policy p
            where p.polcmd <> 'r' and p.polroles && array['anon', 'authenticated']::regrole[]::oid[]
                and (coalesce(pg_get_expr(p.polqual, p.polrelid), '') = 'true'
                    or coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '') = 'true'
                    or p.polcmd in ('a', 'w', '*') and p.polwithcheck is null)
            """,
            "functions have a fixed search path, or a body that was parsed when they were made": """
            select f.oid::regprocedure from pg_proc f
            where f.pronamespace::regnamespace::text in \(schemas) and f.prosqlbody is null
                and not coalesce(f.proconfig, '{}') @> array['search_path=""']
            """,
            "definer functions have a fixed search path": """
            select f.oid::regprocedure from pg_proc f
            where f.pronamespace::regnamespace::text in \(schemas) and f.prosecdef
                and not coalesce(f.proconfig, '{}') @> array['search_path=""']
            """,
            "API roles execute no definer function but those meant for them": """
            select f.oid::regprocedure from pg_proc f
            where f.pronamespace::regnamespace::text in \(schemas) and f.prosecdef
                and (has_function_privilege('anon', f.oid, 'execute')
                    or has_function_privilege('authenticated', f.oid, 'execute'))
                and f.oid::regprocedure::text not in (
                    'tenancy.current_tenant()', 'tenancy.current_member_role()', 'tenancy.is_current_admin()',
                    'tenancy.require_admin()', 'tenancy.begin_setup(text[])', 'tenancy.put_setup_input(uuid,text)',
                    'tenancy.setup_input(uuid)', 'tenancy.start_setup_step(uuid,text)',
                    'tenancy.end_setup_step(uuid,text,text,text,jsonb)', 'tenancy.reopen_setup_step(uuid,text)',
                    'tenancy.note_setup_step(text,jsonb)', 'tenancy.setup_collection()',
                    'tenancy.store_collection()', 'tenancy.setup_state()', 'tenancy.record_validation(text,text)',
                    'tenancy.set_isolation(text)', 'tenancy.current_schema_state()', 'tenancy.current_person()',
                    'tenancy.use_secret(text)', 'tenancy.record_usage(text,text,integer,bigint,integer)',
                    'tenancy.create_team(text,jsonb,text)', 'tenancy.list_members()',
                    'tenancy.change_member_role(uuid,text)', 'tenancy.remove_member(uuid)',
                    'tenancy.transfer_ownership(uuid)', 'tenancy.invite(text,text,text,uuid,text,jsonb)',
                    'tenancy.resend_invitation(uuid,text,uuid,text,jsonb)', 'tenancy.revoke_invitation(uuid)',
                    'tenancy.accept_invitation(text)', 'tenancy.change_own_tenant(uuid,text,text)',
                    'tenancy.charge(text,text,bigint,bigint,integer,boolean)',
                    'tenancy.settle_usage(uuid,bigint,bigint,integer)', 'tenancy.note_export()',
                    'storage.tenant_objects()',
                    'storage.bucket_facts(text)', 'storage.public_object(text,text)',
                    'storage.reserve_upload(text,text,uuid,text,text,text,bigint,boolean,text,text,jsonb,interval)')
            """,
            "no views, materialised views or foreign tables that requests reach": """
            select c.oid::regclass from pg_class c, (values ('anon'), ('authenticated'), ('service_role')) r (role)
            where c.relkind in ('v', 'm', 'f') and c.relnamespace::regnamespace::text in \(schemas)
                and has_schema_privilege(r.role, c.relnamespace, 'usage')
                and has_table_privilege(r.role, c.oid, 'select, insert, update, delete')
            """,
            "no extension in public": """
            select extname from pg_extension where extnamespace = 'public'::regnamespace
            """,
            "nothing in public": """
            select relname from pg_class where relnamespace = 'public'::regnamespace
            """,
            "no sequence tells of other tenants": """
            select c.relname from pg_class c where c.relkind = 'S' and c.relnamespace = 'tenancy'::regnamespace
            """,
            "no two indexes are the same": """
            select min(i.indexrelid::regclass::text), count(*) from pg_index i
                join pg_class c on c.oid = i.indrelid
            where c.relnamespace::regnamespace::text in \(schemas)
            group by i.indrelid, i.indkey::text, i.indclass::text, i.indcollation::text, i.indoption::text,
                pg_get_expr(i.indpred, i.indrelid), pg_get_expr(i.indexprs, i.indrelid)
            having count(*) > 1
            """,
            "no policy reads metadata that users write": """
            select p.polrelid::regclass, p.polname from pg_policy p
            where pg_get_expr(p.polqual, p.polrelid) like '%user_metadata%'
                or pg_get_expr(p.polwithcheck, p.polrelid) like '%user_metadata%'
            """,
            "nobody is granted everything": """
            select f.oid::regprocedure from pg_proc f, aclexplode(f.proacl) a
            where f.pronamespace::regnamespace::text in ('tenancy', 'vectors', 'jobs') and a.grantee = 0
            """,
        ])
    func nothingIsFound(_ rule: String, _ query: String) async throws {
        try await TestProject.run { fixture in
            let found = try await fixture.server.exec(query)
            #expect(found == "", "\(rule): \(found)")
        }
    }
}
