-- The people of a project as they are now.
create view if not exists persons as
select team_id, id, created_at, properties, is_identified, version, last_seen_at
from person final
where is_deleted = 0;

-- Events with the person that their distinct id belongs to now, after all merges.
create view if not exists events_with_person as
select
    e.* replace (if(o.has_override, o.override_id, e.person_id) as person_id),
    e.`$group_0`, e.`$group_1`, e.`$group_2`, e.`$group_3`, e.`$group_4`, e.`$window_id`, e.`$session_id`
from events as e
left any join (
    select team_id, distinct_id, argMax(person_id, version) as override_id, true as has_override
    from person_distinct_id_overrides
    group by team_id, distinct_id
    having argMax(is_deleted, version) = 0
) as o on o.team_id = e.team_id and o.distinct_id = e.distinct_id;
