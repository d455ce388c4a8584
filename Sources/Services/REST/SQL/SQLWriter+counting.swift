// SPDX-License-Identifier: Apache-2.0

extension SQLWriter {
    /// `select 1 from ... where ...`: as many rows as there are without a limit.
    mutating func selectAll(_ plan: ReadPlan, from source: String = "") {
        guard !plan.aggregates else {
            var plan = plan
            plan.order = []
            plan.range = .all
            return select(plan, from: source)
        }
        add("select 1")
        count(plan, source, nil)
    }

    /// `from ... where ...` with embedded relations only where they decide whether a row is there: as conditions, since what is joined for
    /// its values need not be read to count.
    private mutating func count(_ plan: ReadPlan, _ source: String, _ link: Link?) {
        var bare = plan
        bare.embeds = []
        bare.filters = []
        from(bare, source, link)
        var hasConditions = link.map { conditions(bare, $0) } ?? false
        func next(_ writer: inout SQLWriter) {
            writer.add(hasConditions ? " and " : " where ")
            hasConditions = true
        }
        for embed in plan.embeds where embed.isInner {
            next(&self)
            exists(embed, of: plan)
        }
        for tree in plan.filters {
            next(&self)
            condition(tree, plan, counts: true)
        }
    }

    mutating func exists(_ embed: ReadPlan.Embed, of parent: ReadPlan) {
        let link = Link(embed: embed, parent: parent)
        add("exists (")
        if embed.plan.aggregates || embed.plan.range.offset > 0 || embed.plan.range.limit == 0 {
            // Groups, and what is left behind an offset, are known only once they are made.
            select(embed.plan, link: link)
        } else {
            add("select 1")
            count(embed.plan, "", link)
        }
        add(")")
    }
}
