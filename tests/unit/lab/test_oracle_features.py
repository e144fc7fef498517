"""The oracle's features on small histories, each number worked out by hand."""

from lab.oracle_features import DAY, HOUR, History, features_of
from lab.oracle_medians import compared, usual_by
from shared.contracts.context import SegmentSummary, Summary

D = 19_000


def history(**facts: object) -> History:
    found = History(account="acme", roll=0)
    for name, value in facts.items():
        found.learn(name, value, stamp=(0, b"", b""))
    return found


def use(found: History, signal: str, *days_ago: int, user: str | None = None) -> History:
    for ago in days_ago:
        at = (D - ago) * DAY + 9 * HOUR
        found.count(signal, at=at)
        if signal not in {"ticket", "removal"}:
            found.be_present(at)
            if user and signal != "automation":
                found.see_user(user, signal, at=at)
    return found


def at_noon(found: History, *key_features: str) -> dict[str, int]:
    return features_of(found, D * DAY + 12 * HOUR, key_features=list(key_features))


def test_the_shares_of_users() -> None:
    # days ago:  ann 0 1 2 3 4 5, bob 1 9, cat 3, dan 30 (before the 28 days)
    found = history(seats=8)
    use(found, "login", 0, 1, 2, 3, 4, 5, user="ann")
    use(found, "login", 1, 9, user="bob")
    use(found, "login", 3, user="cat")
    use(found, "login", 30, user="dan")
    assert (
        at_noon(found).items()
        >= {
            "users_1": 1,
            "users_7": 3,
            "users_28": 3,
            "seats_used_1": 125,
            "seats_used_7": 375,
            "seats_used": 375,
            "top_user_share": 6 * 1000 // 9,
            "top_3_users_share": 1000,
            "users_change": 2000,  # ann, bob, cat in 1…7 days ago; bob alone in 8…14
        }.items()
    )


def test_automation_is_presence_but_not_use_by_hand() -> None:
    # later half: 28…1 days ago, earlier half: 56…29
    found = use(use(history(), "usage", *range(29, 57, 2)), "usage", 3, 4)
    use(use(found, "automation", 40, user="robot"), "automation", 1, 2, 2, 5, 6, 7, user="robot")
    features = at_noon(found)
    assert (
        features.items()
        >= {
            "events_28": 8,
            "hand_use_28": 2,
            "automation_28": 6,
            "automation_share": 750,
            "automation_share_change": 750 - 1000 // 15,
            "hand_use_change": 2 * 1000 // 14 - 1000,
            "days_since_automation": 1,
            "days_since_hand_use": 3,
            "users_28": 0,
        }.items()
    )
    assert "top_user_share" not in features


def test_the_shape_of_an_exit() -> None:
    # exports: 5 this week, 2 in the four weeks before: less than one a week counts as one a week
    found = use(history(renewal_date="2022-02-15"), "export", 0, 1, 1, 2, 6, 10, 20)
    use(use(use(found, "admin", 0, 3), "removal", 0, 2, 8), "error", 13)
    assert (
        at_noon(found).items()
        >= {
            "exports_7": 5,
            "exports_spike": 5 * 4000 // 4,
            "admin_actions_7": 2,
            "removals_7": 2,
            "removals_14": 3,
            "errors_14": 1,
            "days_since_removal": 0,
            "renewal_days": 38,  # day 19,000 is 2022-01-08
        }.items()
    )


def test_self_reliance_and_missed_days() -> None:
    # active on 10, 12, 14 and 16 days ago, one of them with a ticket, and one ticket on a day without use
    found = use(use(history(), "login", 10, 12, 14, 16), "ticket", 12, 3)
    features = at_noon(found)
    assert (features["self_reliance"], features["days_since_ticket"], features["tickets_7"]) == (750, 3, 1)
    # four active days in the seven from the first to the latest: ten days on, 10 · 4 / 7 are missed
    assert features["missed_days"] == 10 * 4 * 1000 // 7


def test_adoption_is_of_active_users() -> None:
    found = use(history(), "login", 0, user="ann")
    use(use(found, "usage:Export", 3, 4, user="bob"), "usage:Export", 29, user="ann")
    features = at_noon(found, "Export", "Report")
    assert (features["adoption:Export"], features["use_28:Export"]) == (500, 2)
    assert (features["adoption:Report"], features["use_28:Report"], features["features_used"]) == (0, 0, 500)


def test_days_of_users_long_gone_are_forgotten() -> None:
    found = use(use(history(), "login", 40, 41, user="old"), "login", 0, user="new")
    assert at_noon(found)["users_28"] == 1
    assert use(found, "login", 5, user="old").active_users()["old"] == {D - 5}


def test_what_is_usual_leaves_out_those_that_did_nothing() -> None:
    # bins of events_91: 0 has four accounts (left out), 3 one, 9 (values 10 and 11) two: the median of 3, 10, 10 is 10
    counts = [4, 0, 0, 1, 0, 0, 0, 0, 0, 2]
    segment = SegmentSummary(segment="smb", accounts=7, histograms={"events_91": counts})
    usual = usual_by([Summary(partition=0, partitions=1, day=1, at=1, segments=[segment])])
    assert usual == {"smb": {"events_91": 10}}
    assert compared({"events_91": 25, "users_28": 3}, usual["smb"]) == {"events_vs_segment": 2500}
    assert compared({"events_91": 10**6}, usual["smb"]) == {"events_vs_segment": 100_000}
