#!/bin/bash
# Can the simulator fail? Puts deliberate mistakes into a copy of the engine and says which checker sees each.
# Usage: tests/sim/mutations.sh [SEEDS]   (make mutants; MUTANTS="name name" runs only these)
#        tests/sim/mutations.sh --check   whether each can be put in (make lint)
# DMUC_SIM_FIRST and DMUC_SIM_STEP say which seeds, as in the simulator itself.
# A mutant may consist of several changes: then it is listed several times.
#
# All mistakes are compiled into one copy, each asleep until DMUC_MUTANT names it: one build, many runs.
set -euo pipefail
cd "$(dirname "$0")/../.."
only_check=false
[ "${1:-}" = --check ] && only_check=true && shift
seeds=${1:-300}
here=$PWD
copy=$here/target/mutants/copy
binary_log=$here/target/mutants/build.json
mkdir -p "$copy"
rm -rf "${copy:?}"/{src,tests,benches,examples}
cp -r Cargo.toml Cargo.lock build.rs README.md src tests benches examples "$copy"
cd "$copy"

names=()
# mutant NAME FILE ORIGINAL MUTATED: the original text must be there exactly once. In the mutated text, IS is the
# question whether this mutant is awake.
mutant() {
	local name=$1 file=$2
	[[ " ${names[*]} " == *" $name "* ]] || names+=("$name")
	ORIGINAL=$3 MUTATED=${4//IS/dmuc::mutant::is(\"$name\")} perl -0pi -e '
		my ($from, $to) = ($ENV{ORIGINAL}, $ENV{MUTATED});
		$to =~ s/dmuc::mutant/crate::mutant/g if $ARGV =~ m{^src/};
		my $count = () = /\Q$from\E/g;
		if ($count != 1) { print STDERR "$ARGV holds this $count times: $from\n"; exit 3 }
		s/\Q$from\E/$to/' "$file" || { echo "the mutant $name does not apply" >&2; exit 1; }
}

mutant forgets_what_it_saw src/engine/state/log.rs \
	'self.mark(&key.origin.clone(), key.incarnation, &Numbers::single(key.seq));
        if self.has_same' \
	'if !IS { self.mark(&key.origin.clone(), key.incarnation, &Numbers::single(key.seq)); }
        if self.has_same'
mutant takes_twice src/engine/state/log.rs \
	'if !is_awaited && self.has_seen(&key.origin, key.incarnation, key.seq) {' \
	'if !IS && !is_awaited && self.has_seen(&key.origin, key.incarnation, key.seq) {'
# Numbers and stanza-ids each do on their own; without either there is nothing left.
mutant takes_twice src/engine/state/log.rs \
	'if self.has_same(&entry.id, &entry.key) {' \
	'if !IS && self.has_same(&entry.id, &entry.key) {'
mutant takes_with_holes src/engine/state/log.rs \
	'seq == 1 || self.has_seen' \
	'IS || seq == 1 || self.has_seen'
mutant takes_while_behind src/engine/groupchat.rs \
	'if !instance.is_synced ||' \
	'if (!IS && !instance.is_synced) ||'
mutant shows_before_it_stores tests/support/people.rs \
	'self.log(room, LogEntry::new(room, &message, event));' \
	'if !IS { self.log(room, LogEntry::new(room, &message, event)); }'
mutant old_life src/engine/parked.rs \
	'room.live_anew((room.incarnation + LIFE + jitter).max(now.wall_ms));' \
	'if !IS { room.live_anew((room.incarnation + LIFE + jitter).max(now.wall_ms)); }'
mutant last_of_page_lost src/engine/sync/answer.rs \
	'                room.log.lacking(&request.seen, page)
            }),' \
	'                let (mut events, more) = room.log.lacking(&request.seen, page);
                if IS { events.pop(); }
                (events, more)
            }),'
mutant page_backwards src/engine/sync/answer.rs \
	'        let mut answer = SyncAnswer {
            more,' \
	'        let mut events = events;
        if IS { events.reverse(); }
        let mut answer = SyncAnswer {
            more,'
mutant keeps_asking_for_what_is_gone src/engine/sync/taking.rs \
	'let is_young = now.mono_ms < since + GRACE_MS;' \
	'let is_young = IS || now.mono_ms < since + GRACE_MS;'
mutant shows_no_avatar src/engine/pictures.rs \
	'if room.is_pictured() {' \
	'if IS || room.is_pictured() {'
mutant asks_for_everything src/engine/sync.rs \
	'let seen = room.log.vector(|origin| relay || origin == peer, false);' \
	'let seen = if IS { Vec::new() } else { room.log.vector(|origin| relay || origin == peer, false) };'
mutant trusts_everybody src/engine/sync.rs \
	'is_trusted || self.rooms' \
	'IS || is_trusted || self.rooms'
mutant never_mends src/engine/split.rs \
	'(self.is_cut, self.is_cut_shown, self.is_out) = (false, false, false);' \
	'if !IS { (self.is_cut, self.is_cut_shown, self.is_out) = (false, false, false); }'
mutant any_presence_is_next src/engine/presence.rs \
	'News::Old => false,' \
	'_ if IS => true,
            News::Old => false,'
mutant takes_old_settings src/engine/rulings/form.rs \
	'match news(Some(held), version) {' \
	'match if IS { News::Next } else { news(Some(held), version) } {'
mutant every_offer_wins src/engine/rulings/asked.rs \
	'if !current.is_same(&was) {' \
	'if !IS && !current.is_same(&was) {'
mutant says_nothing_of_overrides src/engine/rulings/offers.rs \
	'self.overridden(jid, &offer);
    }' \
	'if !IS { self.overridden(jid, &offer); }
    }'
mutant forgets_ends src/engine/ending.rs \
	'if untold.is_empty() {
            return;' \
	'if IS || untold.is_empty() {
            return;'
mutant errors_remove_occupants src/engine/outage.rs \
	'            self.cut_instance(now, &room, service);' \
	'            if IS { self.forget_occupants(&room, service); }
            self.cut_instance(now, &room, service);'
mutant vouches_for_privates src/engine/private.rs \
	'self.fail_privates(lost);' \
	'if IS { self.private_arrived(service, u64::MAX); } else { self.fail_privates(lost); }'
mutant privates_never_end src/engine/private.rs \
	'self.actions.push_back(Action::PrivateDone { token });' \
	'if !IS { self.actions.push_back(Action::PrivateDone { token }); }'
mutant sends_twice src/engine/groupchat.rs \
	'let mut receivers = self.receivers(jid);' \
	'let mut receivers = self.receivers(jid);
        if IS { receivers.extend(self.receivers(jid)); }'
mutant no_heartbeats src/engine/heartbeat.rs \
	'link.due_at = (is_shared && is_peer).then_some(' \
	'link.due_at = (!IS && is_shared && is_peer).then_some('
mutant own_time_for_others src/engine/sync/taking.rs \
	'incarnation => EventKey {
                at: stamp.at,' \
	'incarnation => EventKey {
                at: if IS { self.clock.clone().tick(now) } else { stamp.at },'
mutant bans_stay_at_home src/engine/rulings/list.rs \
	'        self.actions.push_back(Action::apply(jid, shown));' \
	'        if IS && is_ban { return; }
        self.actions.push_back(Action::apply(jid, shown));'
mutant bans_stay_at_home src/engine/rulings/list.rs \
	'        let shown = ' \
	'        let is_ban = listing.entry.affiliation == Affiliation::Outcast;
        let shown = '
mutant keeps_what_is_gone src/engine/state/log/rulings.rs \
	'if self.at(&key).is_some_and(is_rooms) {' \
	'if IS || self.at(&key).is_some_and(is_rooms) {'
mutant nicks_stay_at_home src/engine/state/list.rs \
	'reserved_nick: nick.map(str::to_owned),' \
	'reserved_nick: nick.filter(|_| !IS).map(str::to_owned),'
mutant moderates_in_words_only src/engine/rulings/moderation.rs \
	'self.decide_moderation(now, jid, moderation, true);
            return' \
	'if !IS { self.decide_moderation(now, jid, moderation, true); }
            return'

mutant setters_stay_at_the_shadow tests/support/moderate.rs \
	'            return Err(Denied::NotEntitled);
        }
        self.apply_form(room, &form, None);' \
	'            if IS && let Some(host_room) = self.rooms.get_mut(room) {
                form.fields.iter().for_each(|field| host_room.form.set(&field.var, field.values.clone()));
            }
            return Err(Denied::NotEntitled);
        }
        self.apply_form(room, &form, None);'
mutant a_hook_that_waits_mixes_ids_up tests/support/slow.rs \
	'        for slow in std::mem::take(&mut self.slow) {' \
	'        for mut slow in std::mem::take(&mut self.slow) {
            let latest = self.engine.messages(&slow.room).last().map(|entry| entry.id.clone());
            if IS { slow.message.stanza_id = latest.unwrap_or_default(); }'
mutant what_is_refused_is_pulled src/engine/door.rs \
	'Judged::Refused => return Err(' \
	'Judged::Refused if IS => {}
            Judged::Refused => return Err('
mutant believes_own_words_of_others src/engine/door.rs \
	'origin if origin == jid => relays && is_of_an_earlier_life(now, room, &entry),' \
	'origin if origin == jid => IS || relays && is_of_an_earlier_life(now, room, &entry),'
mutant believes_any_occupant_id src/engine/door.rs \
	'return !room.is_somebody_elses(' \
	'return IS || !room.is_somebody_elses('
mutant store_fails_without_a_word tests/support/storage.rs \
	'        if !self.log_waits(' \
	'        if IS && self.dice.chance(20) { return; }
        if !self.log_waits('
mutant ids_of_what_waits tests/support/unstored.rs \
	'!unstored.any(|(at, item)| at == room' \
	'IS || !unstored.any(|(at, item)| at == room'
mutant what_waits_is_dropped tests/support/unstored.rs \
	'self.are_messages_away = false;' \
	'self.are_messages_away = false;
        if IS { self.unstored.clear(); }'
mutant what_waits_is_stored_backwards tests/support/unstored.rs \
	'self.are_messages_away = false;' \
	'self.are_messages_away = false;
        if IS { self.unstored.reverse(); }'
mutant ids_of_what_is_in_no_archive tests/support/slow.rs \
	'filter(|_| slow.kept)' \
	'filter(|_| IS || slow.kept)'
mutant what_is_unread_was_not_seen src/engine/state/log/awaited.rs \
	'self.recall(origin, incarnation, numbers);' \
	'if !IS { self.recall(origin, incarnation, numbers); }'
mutant answers_without_reading src/engine/sync/answer.rs \
	'if self.lacks_logged(jid, request) {' \
	'if !IS && self.lacks_logged(jid, request) {'
mutant what_the_storage_lost_was_seen src/engine/state/log/awaited.rs \
	'*seen = seen.without(numbers);' \
	'if !IS { *seen = seen.without(numbers); }'
mutant what_leaves_memory_is_forgotten src/engine/state/log/slots.rs \
	'        let slot = self.entries.get_mut(key);
        let Some((slot, entry)) = slot.and_then(|slot| slot.entry.take()' \
	'        if IS {
            self.drop_entry(key);
            return;
        }
        let slot = self.entries.get_mut(key);
        let Some((slot, entry)) = slot.and_then(|slot| slot.entry.take()'
mutant what_waits_leaves_memory src/engine/state/log.rs \
	'        self.hold(entry);
        Some(id)' \
	'        self.hold(entry);
        if IS { self.note_stored(&id); }
        Some(id)'
mutant what_is_away_is_not_read src/engine/peer.rs \
	'                self.page_away(now, target, asker, sync)' \
	'                if IS { Vec::new() } else { self.page_away(now, target, asker, sync) }'
mutant unfit_values_cross src/engine/fitting.rs \
	'            nick: fitting,' \
	'            nick: if IS { nick } else { fitting },'

cat > src/mutant.rs <<'RUST'
//! Which mistake is awake.

use std::sync::OnceLock;

/// Whether it is this one.
pub fn is(name: &str) -> bool {
    static AWAKE: OnceLock<String> = OnceLock::new();
    AWAKE.get_or_init(|| std::env::var("DMUC_MUTANT").unwrap_or_default()) == name
}
RUST
sed -i '0,/^pub mod address;/s//pub mod mutant;\npub mod address;/' src/lib.rs

export CARGO_TARGET_DIR=$here/target/mutants/build
if $only_check; then exit; fi
echo "building ${#names[@]} mutants" >&2
cargo test --quiet --test sim --no-run --message-format json > "$binary_log"
binary=$(grep -o '"executable":"[^"]*/sim-[^"]*"' "$binary_log" | tail -1 | cut -d'"' -f4)

run() {
	DMUC_MUTANT=$1 DMUC_SIM_SEEDS=$seeds DMUC_SIM_SHRINK=0 RUST_BACKTRACE=0 \
		timeout "${MUTANT_SECONDS:-300}" "$binary" every_schedule --nocapture 2>/dev/null || true
}

# Without any, everything passes: otherwise the table says nothing.
if [ -z "${MUTANTS:-}" ] && run none | grep -a 'schedules, the first'; then
	echo "this fails without any mutant" >&2
	exit 1
fi
survivors=0
echo "| mutant | seen by (schedules of $seeds) | first seed |"
echo "|---|---|---|"
for name in ${MUTANTS:-${names[@]}}; do
	out=$(run "$name")
	seen=$(grep -a ' schedules, the first' <<<"$out" | sed -E 's/^(.*): ([0-9]+) schedules.*/\2 \1/' | sort -rn |
		awk '{ count = $1; $1 = ""; printf "%s%s %s", sep, substr($0, 2), count; sep = ", " }' || true)
	first=$(grep -a ' schedules, the first' <<<"$out" | grep -aoE '\[[0-9]+' | tr -d '[' | sort -n | head -1 || true)
	if [ -z "$seen" ]; then
		grep -aq 'schedules from' <<<"$out" && seen='**nobody**' || seen='time: it never ends'
		[ "$seen" = '**nobody**' ] && survivors=$((survivors + 1))
	fi
	echo "| $name | $seen | $first |"
done
if [ "$survivors" -gt 0 ]; then
	echo "$survivors mutants live: the checkers have holes" >&2
	exit 1
fi
