//! What a run makes of the documents of a turn, and how an extreme is found that is not known.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
};

use super::{
    super::{
        Document, Total, ViewQuery,
        document::{Kind, total_id},
        fold::FoldFault,
        totals::Measures,
    },
    Verdict,
    cache::Slot,
    plan::{Prepared, TotalChange},
    turn::{Turn, verdict},
};

/// The contributions of a page, when an extreme has to be looked for.
const SCAN_PAGE: u32 = 1000;

/// Why a run is not in the transaction.
pub(super) enum Setback {
    /// That is the answer.
    Final(Verdict),
    /// It does not fit what is known of the documents, which may be old.
    Doubtful(FoldFault),
}

impl Turn<'_> {
    /// The documents as they are with a run.
    pub(super) async fn changed(
        &self,
        prepared: &mut Prepared,
    ) -> Result<BTreeMap<String, Slot>, Setback> {
        let mut changed = BTreeMap::new();
        for (id, document) in mem::take(&mut prepared.documents) {
            let slot = self.slots.get(&id).cloned().unwrap_or_else(Slot::absent);
            let covered = prepared.covered.max(slot.covered);
            changed.insert(id, Slot { document, covered, ..slot });
        }
        for TotalChange { key, old, new } in &prepared.totals {
            let id = total_id(key);
            let slot = self.slots.get(&id).cloned().unwrap_or_else(Slot::absent);
            let former = slot.document.as_ref().and_then(|document| document.total.clone());
            let mut total = former.unwrap_or_default();
            let unknown = total
                .replace(old.as_ref(), new.as_ref())
                .map_err(|fault| Setback::Doubtful(fault.into()))?;
            if !unknown.is_empty() {
                let looking = self.look_for(key, unknown, &changed, &mut total);
                looking.await.map_err(Setback::Final)?;
            }
            let document = Document::of_total(&self.lane.partition, key, total.clone());
            let document = (total.streams > 0).then_some(document);
            changed.insert(id, Slot { document, ..slot });
        }
        Ok(changed)
    }

    /// Looks for extremes among the contributions of the shard: what is stored, and what this turn has made
    /// of it.
    async fn look_for(
        &self,
        key: &str,
        names: BTreeSet<String>,
        changed: &BTreeMap<String, Slot>,
        total: &mut Total,
    ) -> Result<(), Verdict> {
        let mut found = Total::default();
        let mut add = |document: &Document| {
            let adds = document.adds.as_ref().and_then(|adds| adds.get(key)).into_iter().flatten();
            let named = adds.filter(|(name, _)| names.contains(*name));
            let named: Measures = named.map(|(name, part)| (name.clone(), part.clone())).collect();
            found.add(&named).map_err(FoldFault::from)
        };
        let ours = || self.dirty.iter().filter(|id| !changed.contains_key(*id));
        let ours: BTreeMap<&String, &Slot> = ours()
            .filter_map(|id| self.slots.get(id).map(|slot| (id, slot)))
            .chain(changed)
            .collect();
        for document in ours.values().filter_map(|slot| slot.document.as_ref()) {
            if document.kind == Kind::Contribution {
                add(document)?;
            }
        }
        let mut query = ViewQuery::of(vec![Kind::Contribution], SCAN_PAGE);
        loop {
            let page = self.shared.store.query(&self.lane.partition, &query).await;
            let page = page.map_err(|fault| verdict(&fault))?;
            for found in page.iter().filter(|found| !ours.contains_key(&found.document.id)) {
                add(&found.document)?;
            }
            if !query.go_on(&page) {
                break;
            }
        }
        total.measures.extend(found.measures);
        Ok(())
    }
}
