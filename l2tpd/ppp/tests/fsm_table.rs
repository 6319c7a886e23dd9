//! The automaton against the state transition table of RFC 1661 section 4.1, as printed there.

#![allow(clippy::unwrap_used)]

use ppp_proto::fsm::{Event, State, transition};

/// Pages 12 and 13 of RFC 1661. The letters r, p and x behind a state number are footnotes
/// (restart option, passive option, crossed connection) and name no other state.
const STATES_0_TO_5: &str = "
 Up   |    2     irc,scr/6     -         -         -         -
 Down |    -         -         0       tls/1       0         1
 Open |  tls/1       1     irc,scr/6     3r        5r        5r
 Close|    0       tlf/0       2         2         4         4
  TO+ |    -         -         -         -       str/4     str/5
  TO- |    -         -         -         -       tlf/2     tlf/3
 RCR+ |    -         -       sta/2 irc,scr,sca/8   4         5
 RCR- |    -         -       sta/2 irc,scr,scn/6   4         5
 RCA  |    -         -       sta/2     sta/3       4         5
 RCN  |    -         -       sta/2     sta/3       4         5
 RTR  |    -         -       sta/2     sta/3     sta/4     sta/5
 RTA  |    -         -         2         3       tlf/2     tlf/3
 RUC  |    -         -       scj/2     scj/3     scj/4     scj/5
 RXJ+ |    -         -         2         3         4         5
 RXJ- |    -         -       tlf/2     tlf/3     tlf/2     tlf/3
 RXR  |    -         -         2         3         4         5
";

const STATES_6_TO_9: &str = "
 Up   |    -         -         -           -
 Down |    1         1         1         tld/1
 Open |    6         7         8           9r
 Close|irc,str/4 irc,str/4 irc,str/4 tld,irc,str/4
  TO+ |  scr/6     scr/6     scr/8         -
  TO- | tlf/3p    tlf/3p    tlf/3p         -
 RCR+ |  sca/8   sca,tlu/9   sca/8   tld,scr,sca/8
 RCR- |  scn/6     scn/7     scn/6   tld,scr,scn/6
 RCA  |  irc/7     scr/6x  irc,tlu/9   tld,scr/6x
 RCN  |irc,scr/6   scr/6x  irc,scr/8   tld,scr/6x
 RTR  |  sta/6     sta/6     sta/6   tld,zrc,sta/5
 RTA  |    6         6         8       tld,scr/6
 RUC  |  scj/6     scj/7     scj/8       scj/9
 RXJ+ |    6         6         8           9
 RXJ- |  tlf/3     tlf/3     tlf/3   tld,irc,str/5
 RXR  |    6         7         8         ser/9
";

/// Our cell in the table's notation.
fn cell(state: State, event: Event) -> String {
    let Some((actions, next)) = transition(state, event) else {
        return "-".to_owned();
    };
    let number = State::ALL.iter().position(|each| *each == next).unwrap();
    let actions: Vec<_> = actions.iter().map(|action| action.abbreviation()).collect();
    if actions.is_empty() {
        number.to_string()
    } else {
        format!("{}/{number}", actions.join(","))
    }
}

fn check(table: &str, states: &[State]) -> usize {
    let mut cells = 0;
    for (row, event) in table
        .lines()
        .filter(|line| !line.is_empty())
        .zip(Event::ALL)
    {
        let (name, columns) = row.split_once('|').unwrap();
        let columns: Vec<_> = columns.split_whitespace().collect();
        assert_eq!(columns.len(), states.len(), "row {name}");
        for (printed, state) in columns.iter().zip(states) {
            let expected = printed.trim_end_matches(['r', 'p', 'x']);
            assert_eq!(cell(*state, event), expected, "row {name}, state {state}");
            cells += 1;
        }
    }
    cells
}

#[test]
fn every_cell_of_the_rfc_1661_table() {
    let cells = check(STATES_0_TO_5, &State::ALL[..6]) + check(STATES_6_TO_9, &State::ALL[6..]);
    assert_eq!(cells, 160);
}

#[test]
fn state_names_are_the_rfcs() {
    let names: Vec<_> = State::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(
        names.join(" "),
        "Initial Starting Closed Stopped Closing Stopping Req-Sent Ack-Rcvd Ack-Sent Opened"
    );
}
