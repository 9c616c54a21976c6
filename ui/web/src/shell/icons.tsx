/** Our own line icons, 16 × 16, drawn with the colour of the text around them. */
import type { ReactNode } from 'react'

const icon = (content: ReactNode) =>
  function Icon() {
    return (
      <svg viewBox="0 0 16 16" width="16" height="16" fill="none" stroke="currentColor" strokeWidth="1.5" strokeLinecap="round" strokeLinejoin="round" aria-hidden="true">
        {content}
      </svg>
    )
  }

export const SearchIcon = icon(<><circle cx="7" cy="7" r="4.5" /><path d="m10.5 10.5 3.5 3.5" /></>)
export const LiveIcon = icon(<path d="M1.5 8.5h3l2-5 3 9 2-6 1 2h2" />)
export const BellIcon = icon(<path d="M3.5 11.5h9c-1-1-1.2-2-1.2-4.5a3.3 3.3 0 0 0-6.6 0c0 2.5-.2 3.5-1.2 4.5ZM6.7 13.7a1.5 1.5 0 0 0 2.6 0" />)
export const PipelineIcon = icon(<><rect x="1.5" y="2" width="4" height="4" rx="1" /><rect x="1.5" y="10" width="4" height="4" rx="1" /><rect x="10.5" y="6" width="4" height="4" rx="1" /><path d="M5.5 4h1.5q1 0 1 1v6q0 1-1 1H5.5M8 8h2.5" /></>)
export const TraceIcon = icon(<path d="M1.5 3.5h9M4 8h6M8 12.5h6.5" />)
export const ServicesIcon = icon(<><circle cx="3.5" cy="8" r="2" /><circle cx="12.5" cy="3.5" r="2" /><circle cx="12.5" cy="12.5" r="2" /><path d="m5.3 7.1 5.4-2.7M5.3 8.9l5.4 2.7" /></>)
export const ClockIcon = icon(<><circle cx="8" cy="8" r="6" /><path d="M8 4.5V8l2.3 1.5" /></>)
export const SunIcon = icon(<><circle cx="8" cy="8" r="2.8" /><path d="M8 1.5v1.2M8 13.3v1.2M1.5 8h1.2M13.3 8h1.2M3.4 3.4l.9.9M11.7 11.7l.9.9M12.6 3.4l-.9.9M4.3 11.7l-.9.9" /></>)
export const MoonIcon = icon(<path d="M13.5 9.5A5.8 5.8 0 0 1 6.5 2.5a5.8 5.8 0 1 0 7 7Z" />)
export const ScreenIcon = icon(<><rect x="1.5" y="2.5" width="13" height="9" rx="1.5" /><path d="M5.5 14h5" /></>)
export const HelpIcon = icon(<><circle cx="8" cy="8" r="6.2" /><path d="M6.2 6.2a1.8 1.8 0 1 1 2.6 1.6c-.6.3-.8.7-.8 1.2M8 11.3v.1" /></>)
export const CloseIcon = icon(<path d="m4 4 8 8M12 4l-8 8" />)
export const PlusIcon = icon(<path d="M8 3.5v9M3.5 8h9" />)
export const MinusIcon = icon(<path d="M3.5 8h9" />)
export const ColumnIcon = icon(<><rect x="2" y="2.5" width="12" height="11" rx="1.5" /><path d="M6.5 2.5v11" /></>)
export const CopyIcon = icon(<><rect x="5.5" y="5.5" width="8" height="8" rx="1.5" /><path d="M10.5 3.5v-.2A1.3 1.3 0 0 0 9.2 2H3.8A1.3 1.3 0 0 0 2.5 3.3v5.9a1.3 1.3 0 0 0 1.3 1.3H4" /></>)
export const LinkIcon = icon(<path d="M6.5 9.5 9.5 6.5M7 4.5l1.3-1.3a3 3 0 0 1 4.3 4.3L11.3 8.8M9 11.5l-1.3 1.3a3 3 0 0 1-4.3-4.3L4.7 7.2" />)
export const LeftIcon = icon(<path d="m9.5 3.5-4.5 4.5 4.5 4.5" />)
export const RightIcon = icon(<path d="m6.5 3.5 4.5 4.5-4.5 4.5" />)
export const UpIcon = icon(<path d="m3.5 9.5 4.5-4.5 4.5 4.5" />)
export const DownIcon = icon(<path d="m3.5 6.5 4.5 4.5 4.5-4.5" />)
export const ZoomOutIcon = icon(<><circle cx="7" cy="7" r="4.5" /><path d="m10.5 10.5 3.5 3.5M5 7h4" /></>)
export const WrapIcon = icon(<path d="M2 3.5h12M2 8h9.5a2.2 2.2 0 0 1 0 4.5H8m1.5-1.7L7.8 12.5l1.7 1.7M2 12.5h3" />)
export const PauseIcon = icon(<path d="M5.5 3.5v9M10.5 3.5v9" />)
export const PlayIcon = icon(<path d="M4.5 3v10l8-5Z" />)
export const SortIcon = icon(<path d="M5 3v10m0 0L2.5 10.5M5 13l2.5-2.5M11 13V3m0 0L8.5 5.5M11 3l2.5 2.5" />)
export const WarnIcon = icon(<path d="M8 2 1.5 13.5h13ZM8 6.5v3M8 11.6v.1" />)
export const CheckIcon = icon(<path d="m3 8.5 3.5 3.5L13 4.5" />)
